"""Flows that behave in some way that the tests look at."""

import logging
import os
import signal
import subprocess
import sys
import time
from typing import Any

from stoker import flow, get_run_logger, task
from stoker.runtime import flow_run
from stoker.testing import arrive


@flow
def fail(message: str) -> None:
    """Fail."""
    raise ValueError(message)


@flow(retries=2, retry_delay_seconds=0.05)
def fail_twice() -> int:
    """Complete in the third attempt."""
    if flow_run.run_count < 3:
        raise ValueError(f"attempt {flow_run.run_count}")
    return flow_run.run_count


@flow(timeout_seconds=0.5)
def hang(gate: str) -> None:
    """Hang in C, where no exception can be raised."""
    arrive(gate)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, signal.SIGTERM})
    time.sleep(3600)


@flow(timeout_seconds=0.5, retries=1)
def sleep_once(file: str) -> str:
    """Sleep too long at the first attempt, and clean up after it."""
    if os.path.exists(file):
        return "in time"
    try:
        time.sleep(3600)
    finally:
        with open(file, "w") as opened:
            opened.write("cleaned up")
    return "never"


@flow(timeout_seconds=0.5)
def spin() -> None:
    """Hang in a loop that swallows what is raised in it."""
    while True:
        try:
            sum(range(1000))
        except BaseException:
            continue


@flow
def clean_up_when_cancelled(gate: str, file: str) -> None:
    """Wait at a gate, and write a file when this is cancelled meanwhile."""
    try:
        arrive(gate)
    except BaseException as error:
        with open(file, "w") as opened:
            opened.write(type(error).__name__)
        raise


@flow
def ignore_sigterm(gate: str) -> None:
    """Take no notice of SIGTERM, and leave a helper that does not either."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    helper = subprocess.Popen(["sleep", "3600"])
    arrive(gate, helper.pid)
    time.sleep(3600)


@flow
def leave_helper() -> int:
    """End, and leave a helper process in a session of its own."""
    return subprocess.Popen(["sleep", "3600"], start_new_session=True).pid


@flow
def exit_hard(code: int) -> None:
    """End the process from within."""
    os._exit(code)


@flow
def unserialisable() -> Any:
    """Return what cannot be serialised."""
    return lambda: None


@flow
def typed(count: int, names: list[str]) -> int:
    """Take parameters of types that are checked."""
    return count + len(names)


@flow
def large(size: int) -> str:
    """Return a large result."""
    return "x" * size


@task
def double(n: int) -> int:
    """A task."""
    return 2 * n


@flow
def doubled(n: int) -> list[int]:
    """Run tasks."""
    return [future.result() for future in double.map(list(range(n)))]


@flow
def speak() -> None:
    """Say something in every way there is, in order."""
    logger = get_run_logger()
    for turn in range(3):
        logger.info("logger %d", turn)
        print(f"print {turn}")
        print(f"stderr {turn}", file=sys.stderr)
        logging.getLogger("mine").warning("logging %d", turn)
    subprocess.run(["sh", "-c", "echo from a subprocess; echo complaint >&2"], check=True)
    print("the end, without a line break", end="")


@flow
def interleave(turns: int) -> None:
    """Say something in turn with helper processes."""
    logger = get_run_logger()
    for turn in range(turns):
        print(f"{turn} print")
        subprocess.run(["echo", f"{turn} helper"], check=True)
        logger.info("%d logger", turn)
        sys.stdout.buffer.write(f"{turn} bytes\n".encode())
        print(f"{turn} stderr", file=sys.stderr)
        subprocess.run(["sh", "-c", f"echo {turn} complaint >&2"], check=True)


@flow(log_prints=True)
def speak_by_prints() -> None:
    """Print, where prints are the run's log."""
    print("printed")


@flow
def say_and_wait(gate: str) -> float:
    """Print a line, and wait; return when it was printed."""
    at = time.time()
    print("said")
    get_run_logger().info("logged")
    arrive(gate)
    return at


@flow
def chatter(lines: int) -> int:
    """Print many lines."""
    for number in range(lines):
        print(f"line {number}")
    return lines
