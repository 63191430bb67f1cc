"""Counts on a thread of a module that it imports."""

import time

from poller import TICKS

from stoker import flow


@flow
def with_thread() -> bool:
    before, deadline = len(TICKS), time.monotonic() + 20
    while len(TICKS) == before and time.monotonic() < deadline:
        time.sleep(0.01)
    return len(TICKS) > before
