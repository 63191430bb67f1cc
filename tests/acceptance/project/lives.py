"""Flows that pause, suspend, resist their end, and crash."""

import os
import re
import signal
import subprocess
import time
from typing import Any

import ledger as ledgers

from stoker import (
    apause_flow_run,
    asuspend_flow_run,
    flow,
    get_run_logger,
    pause_flow_run,
    run_deployment,
    suspend_flow_run,
    task,
)
from stoker.engine.interrupts import RunCancelled
from stoker.runtime import flow_run
from stoker.testing import arrive


@flow
def pauses(timeout: float = 60.0) -> str:
    """Pause twice, and say so before and after."""
    logger = get_run_logger()
    logger.info("before")
    pause_flow_run(timeout=timeout)
    logger.info("between")
    pause_flow_run(timeout=timeout, key="second")
    return f"attempt {os.getpid()}"


@flow
async def pauses_in_a_coroutine() -> int:
    """Pause, without blocking the event loop."""
    await apause_flow_run(timeout=60)
    await apause_flow_run(timeout=60)
    return os.getpid()


@task
def counted(path: str) -> None:
    """Note that it ran."""
    ledgers.write(path, "task")


@flow
def suspends(path: str) -> int:
    """Suspend itself after a task."""
    counted(path)
    try:
        suspend_flow_run(timeout=60, key="approval")
    finally:
        ledgers.write(path, "left")
    counted(path)
    return os.getpid()


@flow
async def suspends_in_a_coroutine() -> int:
    """Suspend itself."""
    await asuspend_flow_run(timeout=60)
    return os.getpid()


@flow
def stands(gate: str) -> Any:
    """Stand at a gate, and say who stands there."""
    return arrive(gate, {"run": flow_run.id, "at": time.time()})


@flow
def counts(gate: str) -> int:
    """Tell a gate, and count on."""
    arrive(gate, flow_run.id)
    number = 0
    while number < 10**9:
        number += 1
        if number % 100_000 == 0:
            get_run_logger().info("%d", number)
    return number


@flow
def lends(gate: str) -> Any:
    """Wait for a child at a gate."""
    return run_deployment("stands/test", {"gate": gate}).state.result()


@flow
def stubborn(gate: str, how: str) -> None:
    """Do not end when asked to; with helpers that have left the process."""
    helper = subprocess.Popen(["setsid", "sh", "-c", "trap '' TERM; sleep 3600 & wait"])
    if how == "ignore":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    arrive(gate, {"run": flow_run.id, "pid": os.getpid(), "helper": helper.pid})
    while how == "swallow":
        try:
            time.sleep(3600)
        except RunCancelled:
            continue
    if how == "regex":
        re.match(r"(a+)+$", "a" * 60 + "b")
    if how == "sum":
        sum(range(10**12))  # No signal's handler runs meanwhile.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    time.sleep(3600)


@flow(timeout_seconds=1)
def too_long_in_c() -> None:
    """Run longer than its limit in C, where no signal's handler can run."""
    sum(range(10**12))


@task(timeout_seconds=0.3)
def long_step() -> None:
    """Run longer than its limit in C."""
    begun = time.monotonic()
    while time.monotonic() - begun < 0.4:
        sum(range(10**8))


@flow
def with_a_long_step() -> str:
    """Say how a task ended that was too long."""
    return long_step(return_state=True).name


@task(retries=1, retry_delay_seconds=3600)
def unfinished() -> None:
    """Fail, and be tried again after an hour."""
    raise RuntimeError


@flow
def inner(gate: str, first: bool) -> None:
    """Stand at a gate; in the first attempt beside a task that does not end."""
    if first:
        unfinished.submit()
    arrive(gate, flow_run.id)


@flow
def fragile(gate: str, path: str) -> int:
    """Write a ledger around an inner flow at a gate."""
    first = not os.path.exists(path)
    ledgers.write(path, "start")
    inner(gate, first)
    ledgers.write(path, "end")
    return os.getpid()


@flow
def waits_for_fragile(gate: str, path: str) -> Any:
    """Wait for a run that crashes."""
    return run_deployment("fragile/test", {"gate": gate, "path": path}).state.name


@flow
def fails_first(path: str) -> str:
    """Fail in the first attempt."""
    first = not os.path.exists(path)
    ledgers.write(path, "start")
    if first:
        raise RuntimeError("the first one fails")
    return "well"
