"""The flows that execute while everything breaks.

Each writes its start and its end into a ledger, fsynced: run, attempt, process, boot time; between
them, as a sign of life, a line every few milliseconds. Each logs numbered lines.
"""

import json
import os
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stoker import flow, get_run_logger, run_deployment, task
from stoker.concurrency import concurrency
from stoker.deployments import DeploymentRun
from stoker.runtime import flow_run

TICK = 0.02
"""Seconds between two signs of life."""
LINES = 12
"""Lines that each call of a flow logs."""


def own_start() -> int:
    """When this process started, in clock ticks since boot: with its pid it names just one."""
    return int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])


class Ledger:
    """The ledger, as one call of a flow writes it."""

    def __init__(self, path: str) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._fd = os.open(path, flags, 0o666)
        self._process = os.getpid(), own_start()

    def note(self, what: str, detail: Any = None, *, safe: bool = True) -> None:
        """Append a line; ``safe`` on disk before the flow goes on."""
        line = {
            "what": what,
            "run": flow_run.id,
            "attempt": flow_run.attempt,
            "count": flow_run.run_count,
            "pid": self._process[0],
            "started": self._process[1],
            "at": time.clock_gettime(time.CLOCK_BOOTTIME),
            "detail": detail,
        }
        os.write(self._fd, json.dumps(line).encode() + b"\n")
        if safe:
            os.fsync(self._fd)


@contextmanager
def written(path: str, detail: Any = None) -> Generator[Ledger]:
    """Write down the start and the end of a call, and that it lives; log the numbered lines."""
    ledger = Ledger(path)
    ledger.note("start", detail)
    logger = get_run_logger()
    try:
        for number in range(LINES):
            logger.info("%d/%d: line %d", flow_run.attempt, flow_run.run_count, number)
            if number == LINES // 2:
                yield ledger
    except Exception as error:
        for number in range(LINES // 2 + 1, LINES):
            logger.info("%d/%d: line %d", flow_run.attempt, flow_run.run_count, number)
        ledger.note("raised", type(error).__name__)
        raise
    except BaseException as error:
        # A cancellation may come between a line and the next, so that nobody knows which is next.
        ledger.note("broken off", type(error).__name__)
        raise
    else:
        ledger.note("end")


def spend(ledger: Ledger, seconds: float) -> None:
    """Pass time, with signs of life."""
    end = time.clock_gettime(time.CLOCK_BOOTTIME) + seconds
    while time.clock_gettime(time.CLOCK_BOOTTIME) < end:
        ledger.note("tick", safe=False)
        time.sleep(TICK)


@flow
def succeed(ledger: str, token: str, seconds: float = 0.0) -> str:
    """Work for some time, and return the token."""
    with written(ledger) as book:
        spend(book, seconds)
    return token


@flow
def fail(ledger: str, token: str, seconds: float = 0.0) -> str:
    """Work for some time, and fail."""
    with written(ledger) as book:
        spend(book, seconds)
        raise ValueError(token)


@flow(retries=2, retry_delay_seconds=0.1)
def retry(ledger: str, token: str, seconds: float = 0.0) -> str:
    """Fail twice, and succeed then."""
    with written(ledger) as book:
        spend(book, seconds / 3)
        if flow_run.run_count < 3:
            raise ValueError(token)
    return token


@task
def double(number: int) -> int:
    """One of many small tasks."""
    return number * 2


@flow
def many_tasks(ledger: str, token: str, seconds: float = 0.0) -> str:
    """Run tasks, in threads and here."""
    with written(ledger) as book:
        futures = [double.submit(number) for number in range(5)]
        spend(book, seconds)
        assert [one.result() for one in futures] == [double(number) for number in range(5)]
    return token


@flow
def fan_out(ledger: str, token: str, children: int = 2, seconds: float = 0.0) -> str:
    """Start runs of a deployment and wait for them; it executes only while it does not wait."""
    with written(ledger) as book:
        own = f"{token}.{flow_run.attempt}"
        for number in range(children):
            parameters = {"ledger": ledger, "token": f"{own}.{number}", "seconds": seconds}
            book.note("waits")
            run = run_deployment("succeed/chaos", parameters)
            book.note("goes on")
            outcome: Any = run.state.type.value
            if outcome == "COMPLETED":
                assert run.state.result() == parameters["token"]
            book.note("child", [run.id, outcome])
        started = [_start_child(ledger, f"{own}.b{number}") for number in range(children)]
        book.note("started", [run.id for run in started])
    return token


def _start_child(ledger: str, token: str) -> DeploymentRun:
    parameters = {"ledger": ledger, "token": token}
    run: Any = run_deployment("succeed/chaos", parameters, timeout=0)
    return run


@task(tags=["scarce"])
def scarce(book: Ledger, seconds: float) -> None:
    """Use what is limited by a tag."""
    book.note("takes", ["tag scarce", 1])
    spend(book, seconds)
    book.note("frees", ["tag scarce", 1])


@flow
def share(ledger: str, token: str, seconds: float = 0.0) -> str:
    """Use what is limited by a name, and then by a tag."""
    with written(ledger) as book:
        with concurrency("database", occupy=2):
            book.note("takes", ["name database", 2])
            spend(book, min(seconds, 0.5))
            book.note("frees", ["name database", 2])
        scarce(book, min(seconds, 0.3))
    return token


@flow
def linger(ledger: str, token: str, seconds: float = 600.0) -> str:
    """Start a process tree and wait for very long: somebody will cancel it."""
    helper = subprocess.Popen(["sh", "-c", "sleep 3600 & wait"])
    with written(ledger, {"helpers": [helper.pid]}) as book:
        try:
            spend(book, seconds)
        finally:
            with suppress(ProcessLookupError):
                helper.kill()
            helper.wait()
    return token
