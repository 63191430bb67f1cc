"""Flows that measure their own task calls: each returns nanoseconds for one call."""

import time
from collections.abc import Callable
from typing import Any

from stoker import flow, task
from stoker.engine import backends


@task
def nothing(number: int = 0) -> None:
    """Do nothing."""


def per_call(calls: int, work: Callable[[], Any]) -> float:
    """Time some calls, until the last of them is recorded for good."""
    started = time.monotonic_ns()
    work()
    backends.current().flush()
    return (time.monotonic_ns() - started) / calls


@flow
def direct(calls: int) -> float:
    """Call a task, one call after the other."""

    def work() -> None:
        for _ in range(calls):
            nothing()

    return per_call(calls, work)


@flow
def submitted(calls: int) -> float:
    """Submit a task, and wait for all of it."""

    def work() -> None:
        for future in [nothing.submit() for _ in range(calls)]:
            future.result()

    return per_call(calls, work)


@flow
def mapped(calls: int) -> float:
    """Map a task over a list, and wait for all of it."""

    def work() -> None:
        nothing.map(range(calls)).result()

    return per_call(calls, work)
