"""Flows that hold slots, and write down when."""

import json
import os
import time

from stoker import flow, task
from stoker.concurrency import concurrency

WORK = 0.02


def note(ledger: str, event: str, slots: int) -> None:
    """Append what happens, when by the clock of all processes, safe on disk."""
    handle = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        entry = [event, os.getpid(), slots, time.monotonic()]
        os.write(handle, json.dumps(entry).encode() + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


def work(ledger: str, slots: int) -> None:
    note(ledger, "start", slots)
    time.sleep(WORK)
    note(ledger, "end", slots)


@task(tags=["limited"])
def tagged(ledger: str) -> None:
    work(ledger, 1)


@flow
def tagging(ledger: str, times: int) -> None:
    for _ in range(times):
        tagged(ledger)


@flow
def occupying(ledger: str, times: int, slots: int) -> None:
    for _ in range(times):
        with concurrency("db", occupy=slots):
            work(ledger, slots)
