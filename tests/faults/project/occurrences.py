"""A flow that says which occurrence it was run for."""

import json
import os
import time

from stoker import flow
from stoker.runtime import flow_run


@flow
def occur(ledger: str, seconds: float = 0.0, day: str = "") -> str:
    """Write its begin and its end into a ledger, safe on disk."""
    scheduled = flow_run.scheduled_start_time
    day = day or (scheduled.isoformat() if scheduled else "")
    for word in ("begin", "end"):
        entry = json.dumps([word, flow_run.id, day, time.time()]).encode() + b"\n"
        handle = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, entry)
            os.fsync(handle)
        finally:
            os.close(handle)
        if word == "begin":
            time.sleep(seconds)
    return day
