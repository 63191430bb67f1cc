"""Runs of all kinds; `soak.ENDS` says how each of them must end."""

import os
import subprocess
import tempfile
import threading
import time

from stoker import flow, run_deployment, task


@task
def double(x: int) -> int:
    """Do little."""
    return 2 * x


@flow
def quick() -> int:
    """Return the time of the first line (CLOCK_MONOTONIC)."""
    return time.monotonic_ns()


@flow(log_prints=True)
def chatty() -> None:
    """Log and print."""
    for number in range(50):
        print(f"line {number}")
    os.write(2, b"and one more\n")


@flow
def tasks() -> int:
    """Call, submit and map tasks."""
    return double(1) + double.submit(2).result() + sum(double.map(range(5)).result())


@flow
def fails() -> None:
    """Fail."""
    raise ValueError("as it should")


@flow
def dies() -> None:
    """End without a word."""
    os._exit(3)


@flow
def waits() -> int:
    """Wait for a run of its own."""
    return run_deployment("quick/bench").state.result()


@flow
def untidy() -> None:
    """Leave files, a process in a session of its own, a thread and open descriptors behind."""
    held = [tempfile.TemporaryFile() for _ in range(20)]  # noqa: SIM115 (left open on purpose)
    with open(os.path.join(tempfile.gettempdir(), "left"), "wb") as file:
        file.write(bytes(1_000_000))
    subprocess.Popen(["sleep", "60"], start_new_session=True)
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    assert len(bytearray(20_000_000)) + len(held)
