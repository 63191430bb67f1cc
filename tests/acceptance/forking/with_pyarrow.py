"""Writes and reads Parquet in the run, on Arrow's thread pools."""

import tempfile

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stoker import flow


@flow
def with_pyarrow() -> int:
    table = pa.table({"x": list(range(10_000))})
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(table, f"{folder}/x.parquet")
        return pc.call_function("sum", [pq.read_table(f"{folder}/x.parquet")["x"]]).as_py()
