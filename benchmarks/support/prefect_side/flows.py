"""The flows that Prefect's worker runs, the same as ours; see `support/project/flows.py`."""

import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas  # noqa: F401 (every run of this file has it)

# It is in another venv, and unknown to the tools of this one.
prefect: Any = import_module("prefect")


@prefect.flow
def clock(file: str) -> None:
    """Write down the time of the first line (CLOCK_MONOTONIC, the same in all processes)."""
    now = time.monotonic_ns()
    Path(file).write_text(str(now))


@prefect.flow
def nothing() -> None:
    """Do nothing."""
