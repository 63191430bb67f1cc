"""Flows that behave as badly as they can, and one that works beside them."""

import atexit
import getpass
import locale
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stoker import flow, get_run_logger
from stoker.runtime import flow_run
from stoker.testing import arrive


@flow
def quiet(gate: str) -> str:
    """Work beside the others, and have a file and a variable of its own."""
    mine = Path(os.environ["TMPDIR"], "mine")
    mine.write_text("kept")
    get_run_logger().info("before")
    arrive(gate, {"zygote": os.getppid()})
    get_run_logger().info("after")
    return mine.read_text()


@flow
def state_of_process() -> list[Any]:
    """What a run could leave to the next one."""
    mask = os.umask(0o22)
    os.umask(mask)
    return [os.getcwd(), mask, locale.setlocale(locale.LC_ALL), os.getpriority(os.PRIO_PROCESS, 0)]


@flow
def change_process() -> list[Any]:
    """Change all of it."""
    os.chdir("/")
    os.umask(0o777)
    locale.setlocale(locale.LC_ALL, "C")
    os.nice(5)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    sys.path.clear()
    return state_of_process.fn()


@flow
def litter(files: int) -> str:
    """Leave files in the temporary folder."""
    folder = os.environ["TMPDIR"]
    for number in range(files):
        os.close(os.open(f"{folder}/{number}", os.O_CREAT | os.O_WRONLY, 0o600))
    return folder


@flow
def hoard() -> int:
    """Open as many files as may be."""
    opened: list[int] = []
    try:
        while True:
            opened.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        return len(opened)
    finally:
        for fd in opened:
            os.close(fd)


@flow
def multiply() -> int:
    """Fork as often as may be, and leave them all."""
    count = 0
    try:
        while True:
            if os.fork() == 0:
                time.sleep(600)
                os._exit(0)
            count += 1
    except BlockingIOError:
        return count


@flow
def shout(lines: int) -> None:
    """Print 100 bytes a line."""
    line = "x" * 99
    for _ in range(lines):
        print(line)


@flow
def shout_below(megabytes: int) -> None:
    """Have a program print lines, which Python does not see."""
    script = f"yes {'x' * 99} | head -c {megabytes}000000"
    subprocess.run(["sh", "-c", script], check=True)


@flow
def log(lines: int) -> None:
    """Log 100 bytes a line, with another run in the process."""
    for _ in range(lines):
        get_run_logger().info("x" * 100)
    log_more()


@flow
def log_more() -> None:
    """Log one line."""
    get_run_logger().info("one more")


@flow(timeout_seconds=0.5)
def compute(gate: str) -> int:
    """Compute in C, where no signal is heard."""
    arrive(gate)
    return sum(range(10**12))


@flow
def compute_for_ever(gate: str) -> int:
    """The same without a limit of time."""
    arrive(gate)
    return sum(range(10**12))


@flow
def close_streams() -> str:
    """Close the standard streams in all ways."""
    for fd in (0, 1, 2):
        os.close(fd)
    sys.stdout.close()
    sys.stderr.close()
    get_run_logger().info("still heard")
    return "done"


@flow
def signal_own(number: int, group: bool) -> str:
    """Signal its group, or everybody."""
    os.kill(0 if group else -1, number)
    return "alive"


@flow
def leave(how: str, code: Any) -> None:
    """End the process."""
    if how == "sys":
        sys.exit(code)
    os._exit(code)


@flow
def linger() -> str:
    """Hang in an exit handler."""
    atexit.register(time.sleep, 600)
    return "done"


@flow
def attack(others: list[int]) -> dict[str, list[str]]:
    """Signal other processes, and read what only they should know."""
    found: dict[str, list[str]] = {}
    for pid in [os.getppid(), *others]:
        outcomes = []
        for name in ("environ", "mem", "maps", "fd/0"):
            with outcome_to(outcomes), open(f"/proc/{pid}/{name}", "rb"):
                pass
        for number in (0, signal.SIGTERM, signal.SIGKILL):
            with outcome_to(outcomes):
                os.kill(pid, number)
        found[str(pid)] = outcomes
    return found


@contextmanager
def outcome_to(outcomes: list[str]) -> Iterator[None]:
    """Note which error a block raises."""
    try:
        yield
        outcomes.append("done")
    except OSError as error:
        outcomes.append(type(error).__name__)


@flow
def whoami() -> dict[str, Any]:
    """Say what the run's user is, and what it may do."""
    script = "id -u; cat /proc/self/environ | head -c 1 | wc -c; ls -ld /root | wc -l"
    return {
        "ids": [*os.getresuid(), os.getpid()],
        "gids": list(os.getresgid()),
        "user": getpass.getuser(),
        "home": os.path.expanduser("~"),
        "tmp": os.stat(os.environ["TMPDIR"]).st_uid,
        "reads": os.access("/root", os.R_OK | os.W_OK | os.X_OK),
        "lists": bool(os.listdir("/root")),
        "own": os.access(f"/proc/{os.getpid()}/environ", os.R_OK),
        "program": subprocess.check_output(["sh", "-c", script], text=True).split(),
        "oom": int(Path("/proc/self/oom_score_adj").read_text()),
    }


@flow
def place() -> list[Any]:
    """Say where it is, and what is there."""
    found = [os.getcwd(), os.listdir("."), os.environ["TMPDIR"]]
    Path("left").touch()
    return found


@flow
def limits() -> dict[str, tuple[int, int]]:
    """Say which resource limits are in force."""
    import resource

    names = ("cpu", "nofile", "nproc", "core")
    return {one: resource.getrlimit(getattr(resource, f"RLIMIT_{one.upper()}")) for one in names}


@flow
def spend() -> None:
    """Use processor time."""
    while flow_run.id:
        pass


@flow
def hold(megabytes: int, gate: str = "") -> str:
    """Hold memory until the test lets it go on."""
    ballast = bytearray(os.urandom(1 << 20) * megabytes)
    if gate:
        arrive(gate)
    return f"held {len(ballast)}"


@flow
def grow() -> None:
    """Take memory, and never have enough."""
    ballast: list[bytes] = []
    while True:
        ballast.append(os.urandom(1 << 20) * 10)


@flow
def grow_below(how: str) -> None:
    """Have helper processes take memory, each little: programs, or forks of this process."""
    script = "import time; x = b'x' * 40_000_000; time.sleep(600)"
    for _ in range(10):
        if how == "programs":
            subprocess.Popen([sys.executable, "-c", script])
        elif os.fork() == 0:
            exec(script)
    time.sleep(600)


@flow
def share(megabytes: int, gate: str) -> str:
    """Hold memory that helper processes see, too."""
    ballast = os.urandom(1 << 20) * megabytes
    helpers = []
    for _ in range(4):
        helpers.append(os.fork())
        if helpers[-1] == 0:
            time.sleep(600)
    arrive(gate)
    for pid in helpers:
        os.kill(pid, signal.SIGKILL)
    return f"held {len(ballast)}"
