"""Flows of the fault tests."""

import json
import os
import subprocess
from typing import Any

from stoker import (
    flow,
    get_run_logger,
    pause_flow_run,
    run_deployment,
    suspend_flow_run,
)
from stoker.runtime import flow_run
from stoker.testing import arrive


def note(ledger: str, *entry: Any) -> None:
    """Append a line to a ledger, safe on disk before the flow goes on."""
    handle = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, json.dumps(entry).encode() + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


@flow
def work(gate: str, ledger: str) -> str | None:
    """Say so, wait at a gate, say so again, and write a line into a ledger."""
    logger = get_run_logger()
    logger.info("before the gate")
    helper = subprocess.Popen(["sleep", "3600"])
    answer = arrive(gate, {"run": flow_run.id, "zygote": os.getppid(), "helper": helper.pid})
    for number in range(100):
        logger.info("line %d", number)
    helper.kill()
    helper.wait()
    note(ledger, flow_run.id, answer)
    return flow_run.id


@flow
def retold(gate: str, ledger: str) -> int:
    """Write the beginning and the end of an attempt into a ledger, around a gate."""
    note(ledger, "start", flow_run.id, os.getpid())
    arrive(gate, {"run": flow_run.id})
    note(ledger, "end", flow_run.id, os.getpid())
    return os.getpid()


@flow
def stops(gate: str, *, suspends: bool) -> str:
    """Pause or suspend itself."""
    arrive(gate)
    (suspend_flow_run if suspends else pause_flow_run)(timeout=120, key="here")
    return "on"


@flow
def quick(n: int, ledger: str | None = None) -> int:
    """End at once."""
    if ledger is not None:
        note(ledger, flow_run.id)
    return n


@flow
def parent(gate: str, ledger: str) -> Any:
    """Wait for a child at the gate."""
    return run_deployment("work/test", {"gate": gate, "ledger": ledger}).state.result()
