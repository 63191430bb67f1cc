"""What the runs of these tests do."""

import ctypes
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

# Not in the tests' own path: hosts are told where it is.
standin_runner: Any = import_module("standin_runner")

AT_IMPORT = os.environ.get("COLOUR")
state: list[int] = []
counter = 0


def hello(name: str = "you") -> str:
    print("hello", name)
    print("to stderr", file=sys.stderr)
    return f"hello {name}"


def touch_everything() -> list[object]:
    """Report what this run finds, and leave as much behind as it can."""
    global counter  # noqa: PLW0603
    counter += 1
    state.append(counter)
    left = Path(tempfile.gettempdir(), "left")
    found = [
        counter,
        len(state),
        os.environ.get("LEFT"),
        left.exists(),
        random.random(),
        tempfile.gettempdir(),
        os.getcwd(),
        time.strftime("%Z"),
    ]
    if "numpy" in sys.modules:
        found.append(float(sys.modules["numpy"].random.random()))
    os.environ["LEFT"] = "yes"
    left.mkdir()
    (left / "file").write_text("something")
    os.chdir("/")
    sys.path.insert(0, "/nowhere")
    return found


def environment(*names: str) -> dict[str, str]:
    return dict(os.environ)


def colours() -> list[str | None]:
    return [AT_IMPORT, os.environ.get("COLOUR")]


def identity() -> list[int]:
    return [os.getpid(), os.getppid(), os.getsid(0), os.getpgid(0)]


def exit_hard(code: int) -> None:
    print("about to leave")
    os._exit(code)


def segfault() -> None:
    ctypes.string_at(0)


def wait(path: str) -> str:
    """Say where it is, and run until it is ended, or a file appears."""
    print("waiting", os.getpid(), flush=True)
    while not os.path.exists(path):
        time.sleep(0.01)
    return "found"


def wait_deaf(path: str) -> str:
    """The same, but it does not listen to SIGTERM."""
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return wait(path)


def wait_for_signals(count: int) -> str:
    """Hear only the last of so many SIGTERMs, as if the others had come at a bad moment."""
    import signal

    handler = signal.getsignal(signal.SIGTERM)
    left = count

    def ignore(number: int, frame: object) -> None:
        nonlocal left
        left -= 1
        if left == 1:
            signal.signal(signal.SIGTERM, handler)

    signal.signal(signal.SIGTERM, ignore)
    return wait("/nowhere")


def wait_with_helpers(path: str) -> str:
    """The same, with a child process, and one that has left its session."""
    script = "import os, time; os.setsid(); time.sleep(600)"
    for argv in (["sleep", "600"], [sys.executable, "-c", script]):
        subprocess.Popen(argv)
    return wait(path)


def leave_helpers() -> str:
    script = "import os, time; os.fork() and os._exit(0); os.setsid(); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", script])
    subprocess.Popen(["sleep", "600"])
    return "left"


def shout(lines: int) -> None:
    for number in range(lines):
        print("line", number)


def below_python() -> None:
    os.write(1, b"from C\n")
    subprocess.run(["sh", "-c", "echo from sh; echo oops >&2; printf end"], check=True)


def write_nonsense(number: int) -> None:
    """Write into the connection to the host, as a program may that writes to any descriptor."""
    link = standin_runner.backend._link
    os.write(
        link.fileno(),
        [b"\xff" * 64, b"\x02\x01\x00\x00\x00\xc1", b"\x02\xff\xff\xff\x7f"][number],
    )
    time.sleep(600)


def forked() -> None:
    pid = os.fork()
    if pid == 0:
        print("from the fork")
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(pid, 0)


def exit_handlers() -> str:
    import atexit
    import threading

    atexit.register(print, "the exit handler ran")
    threading.Thread(target=lambda: (time.sleep(0.05), print("the thread ran"))).start()
    return "done"


def linger() -> str:
    import atexit

    atexit.register(time.sleep, 600)
    return "done"


def flush_then_exit() -> None:
    print("kept")
    standin_runner.backend.flush()
    os._exit(3)


def descriptors() -> list[str]:
    found = []
    for name in sorted(os.listdir("/proc/self/fd"), key=int):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            continue
    return found


def file_limit() -> tuple[int, int]:
    import resource

    return resource.getrlimit(resource.RLIMIT_NOFILE)


def loaded(*names: str) -> list[str]:
    return sorted(name for name in sys.modules)


def start_another() -> str:
    from stoker.domain.requests import StartRun

    return standin_runner.backend.ask(StartRun(deployment="a/b")).name


def give_up() -> str:
    import signal

    from stoker.domain.requests import StartRun

    def ring(number: int, frame: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        standin_runner.backend.ask(StartRun(deployment="a/b"))
    except TimeoutError:
        return standin_runner.backend.ask(StartRun(deployment="a/c")).name
    return "no timeout"


def start_unknown() -> str:
    from stoker.domain.errors import NotFound
    from stoker.domain.requests import StartRun

    try:
        standin_runner.backend.ask(StartRun(deployment="a/b"))
    except NotFound as error:
        return f"NotFound: {error}"
    return "no error"


def ids() -> list[int]:
    return [os.getpid(), *os.getresuid()]


def outcomes_of(pids: list[int], signals: list[int]) -> list[list[str]]:
    """Say what comes of reading other processes, and of signalling them."""
    files = ("environ", "mem", "maps")
    return [
        [outcome_of(open, f"/proc/{pid}/{name}", "rb") for name in files]
        + [outcome_of(os.kill, pid, number) for number in signals]
        for pid in pids
    ]


def outcome_of(action: Callable[..., Any], *arguments: Any) -> str:
    try:
        action(*arguments)
    except OSError as error:
        return type(error).__name__
    return "done"


def kill_parent() -> None:
    os.kill(os.getppid(), 9)
    time.sleep(600)


def grow(first: int = 0, by: int = 10, pause: float = 0.02) -> None:
    ballast = [os.urandom(1 << 20) * first]
    while True:
        ballast.append(os.urandom(1 << 20) * by)
        time.sleep(pause)


def share(path: str) -> int:
    """Hold memory that helper processes see, too, until a file appears."""
    ballast = os.urandom(1 << 20) * 100
    helpers = []
    for _ in range(4):
        helpers.append(os.fork())
        if helpers[-1] == 0:
            time.sleep(600)
    wait(path)
    for pid in helpers:
        os.kill(pid, 9)
    return len(ballast)
