"""Flows of the acceptance tests: what a run sees of its process, and leaves to others."""

import os
import random
import tempfile
from pathlib import Path
from typing import Any

from numpy import random as numpy_random

from stoker import flow
from stoker.events import emit_event
from stoker.runtime import flow_run

AT_IMPORT = os.environ.get("COLOUR", "none")
"""What the environment said when this module was imported."""

seen: list[str] = []
"""Module state that runs change."""


def start_of(pid: int) -> int:
    """Start time of a process, in clock ticks since boot."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[19])


@flow
def who() -> dict[str, Any]:
    """The process of this run."""
    return {
        "pid": os.getpid(),
        "started": start_of(os.getpid()),
        "parent": os.getppid(),
        "session": os.getsid(0),
    }


@flow
def leave_traces() -> dict[str, Any]:
    """Look at what a process has of earlier runs; then change all of it."""
    found: dict[str, Any] = {
        "environ": os.environ.get("LEFT_BY_A_RUN"),
        "module": list(seen),
        "random": random.random(),
        "numpy": float(numpy_random.random()),
        "tmp": tempfile.gettempdir(),
        "TMPDIR": os.environ["TMPDIR"],
        "files": sorted(os.listdir(tempfile.gettempdir())),
        "cwd": os.getcwd(),
        "umask": os.umask(0o077),
    }
    os.environ["LEFT_BY_A_RUN"] = "yes"
    seen.append("a run")
    random.seed(1)
    numpy_random.seed(1)
    Path(tempfile.gettempdir(), "left").write_text("by a run")
    os.chdir("/")
    return found


@flow
def environment() -> dict[str, str]:
    """What the module saw at its import, and what the run sees."""
    return {
        "at_import": AT_IMPORT,
        "colour": os.environ.get("COLOUR", "none"),
        "size": os.environ.get("SIZE", "none"),
    }


@flow
def about() -> dict[str, Any]:
    """What a run knows of itself."""
    return {
        "id": flow_run.id,
        "name": flow_run.name,
        "tags": flow_run.tags,
        "deployment": flow_run.deployment,
        "parent": flow_run.parent_flow_run_id,
    }


@flow
def emit_events() -> None:
    """Say twice that a step is done."""
    for n in range(2):
        emit_event("step.done", {"kind": "step", "id": str(n)}, {"n": n})
