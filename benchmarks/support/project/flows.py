"""The flows that the benchmarks deploy; pandas is imported once, in the zygote."""

import time

import pandas  # noqa: F401 (every run of this file has it)

from stoker import flow


@flow
def clock() -> int:
    """Return the time of the first line (CLOCK_MONOTONIC, the same in all processes)."""
    return time.monotonic_ns()


@flow
def nothing() -> None:
    """Do nothing."""
