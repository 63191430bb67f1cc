"""A ledger: what flows did, each entry safe on disk before the flow goes on."""

import json
import os
from typing import NamedTuple

from stoker.runtime import flow_run


class Entry(NamedTuple):
    """One event of one run."""

    event: str
    run: str
    pid: int


def write(path: str, event: str) -> None:
    """Append an event of the present run. The kernel puts whole lines one after the other."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, json.dumps([event, flow_run.id, os.getpid()]).encode() + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: str) -> list[Entry]:
    """Return all entries, oldest first."""
    with open(path) as file:
        return [Entry(*json.loads(line)) for line in file]


def most_at_once(entries: list[Entry]) -> int:
    """Return how many runs executed at a time at the most: begun, not over, not waiting."""
    executing: set[str] = set()
    most = 0
    for entry in entries:
        if entry.event in {"start", "go on"}:
            assert entry.run not in executing, entry
            executing.add(entry.run)
            most = max(most, len(executing))
        else:
            assert entry.event in {"wait", "end"}, entry
            executing.remove(entry.run)
    assert not executing
    return most
