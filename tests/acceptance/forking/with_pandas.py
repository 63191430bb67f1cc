"""A frame that is there before the run, grouped in it."""

import pandas as pd

from stoker import flow

FRAME = pd.DataFrame({"group": ["a", "b"] * 500, "value": range(1000)})


@flow
def with_pandas() -> int:
    return int(FRAME.groupby("group")["value"].sum()["b"])
