"""A flow that writes down every moment in which it executes."""

import json
import os
import time
from pathlib import Path

from stoker import flow
from stoker.runtime import flow_run

TICK = 0.01


def boot_time() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@flow
def tick(ledger: str, seconds: float = 600.0) -> int:
    """Write a line of run, pid and time again and again; start and end are safe on disk."""
    with Path(ledger).open("ab", buffering=0) as file:

        def note(what: str, *, safe: bool) -> None:
            line = [flow_run.id, os.getpid(), what, boot_time()]
            file.write(json.dumps(line).encode() + b"\n")
            if safe:
                os.fsync(file.fileno())

        note("start", safe=True)
        print("started", flush=True)
        end = boot_time() + seconds
        count = 0
        while boot_time() < end and not os.path.exists(f"{ledger}.end"):
            note("tick", safe=False)
            count += 1
            time.sleep(TICK)
        note("end", safe=True)
        return count
