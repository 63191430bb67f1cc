"""Prefect beside us: in a venv of its own, with a server of its own, at its best settings.

The venv is made at the first use and kept in the folder that STOKER_BENCH_CACHE names, by default
one in the system's folder for temporary files.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from support import memory
from support.report import Row, say
from support.stack import scratch

VERSION = "3.8.8"
# A newer FastAPI breaks its server.
PACKAGES = (f"prefect=={VERSION}", "fastapi<0.151", "pandas")

SIDE = Path(__file__).parent / "prefect_side"
"""What runs in its venv."""

START_TIME = 90.0
"""Seconds that its server and worker may take to be there."""
END_TIME = 15.0
"""Seconds that they may take to leave."""
MEASURE_TIME = 300.0
"""Seconds that one measurement may take."""
IDLE = 10.0
"""Seconds without work before memory is measured."""

BEST = {
    "PREFECT_WORKER_QUERY_SECONDS": "0.2",
    "PREFECT_WORKER_PREFETCH_SECONDS": "10",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_CLI_PROMPT": "false",
    "DO_NOT_TRACK": "1",
}
"""It looks for runs five times a second; nothing runs that a benchmark does not use."""


def python() -> Path:
    """Return the interpreter of its venv, made now if need be."""
    cache = os.environ.get("STOKER_BENCH_CACHE") or tempfile.gettempdir() + "/stoker-bench-cache"
    venv = Path(cache) / f"prefect-{VERSION}"
    ready = venv / ".ready"
    if not ready.exists():
        say(f"installing {', '.join(PACKAGES)} into {venv}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        subprocess.run([venv / "bin/python", "-m", "pip", "install", "-qq", *PACKAGES], check=True)
        ready.touch()
    return venv / "bin/python"


class Peer:
    """A running server of Prefect's.

    Args:
        home: Folder of its state.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._python = python()
        self._port = _free_port()
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        kept = {name: text for name, text in os.environ.items() if name[:8] != "PREFECT_"}
        self._environ = (
            kept
            | BEST
            | {
                "PREFECT_HOME": str(home),
                "PREFECT_API_URL": f"http://127.0.0.1:{self._port}/api",
                "PATH": f"{self._python.parent}:{os.environ.get('PATH', '')}",
            }
        )

    def start_server(self) -> None:
        """Start the server and return once it answers."""
        self._start("server", "server", "start", "--port", str(self._port))
        self._await(lambda: bool(self._get("health")), "its server does not answer")

    def start_worker(self) -> None:
        """Start a process worker and return once it has looked for runs, if none runs yet."""
        if "worker" in self._programs:
            return
        self._start("worker", "worker", "start", "--pool", "bench", "--type", "process")

        def is_online() -> bool:
            return (self._get("work_pools/bench") or {}).get("status") == "READY"

        self._await(is_online, "its worker is not online")

    def measure(self, metric: str, n: int) -> list[float]:
        """Take samples of a metric; ``n`` counts what it does of a thing."""
        if metric in {"hot_start", "burst", "accept_single"}:
            # Without a worker there is no pool to deploy to.
            self.start_worker()
        say(f"prefect: {metric}")
        done = subprocess.run(
            [self._python, SIDE / "measure.py", metric, str(n)],
            env=self._environ,
            cwd=self._home,
            capture_output=True,
            text=True,
            timeout=MEASURE_TIME,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"prefect's {metric} failed:\n{done.stderr[-3000:]}")
        return json.loads(done.stdout.splitlines()[-1])

    def footprint(self, script: str, n: int) -> Iterator[Row]:
        """Measure what `footprint.py` measures of us, with its script that imports."""
        script = script.replace("from stoker import", "from prefect import")
        seconds: list[float] = []
        kilobytes: list[int] = []
        commands: list[float] = []
        for _ in range(n + 1):
            answer = self._run(str(self._python), "-c", script).split()
            seconds.append(float(answer[0]))
            kilobytes.append(int(answer[1]))
            started = time.monotonic()
            self._run(str(self._python.with_name("prefect")), "version")
            commands.append(time.monotonic() - started)
        yield Row("prefect", "import", "ms", [value * 1000 for value in seconds[1:]])
        yield Row("prefect", "cli", "ms", [value * 1000 for value in commands[1:]])
        yield Row("prefect", "import_rss", "MB", [value / 1000 for value in kilobytes[1:]])
        self.start_worker()
        time.sleep(IDLE)
        for metric, program in (("server_pss", "server"), ("host_pss", "worker")):
            pids = memory.family(self._programs[program].pid)
            yield Row("prefect", metric, "MB", value=memory.pss_mb(pids))

    def stop(self) -> None:
        """End what was started."""
        for program in reversed(self._programs.values()):
            for number in (signal.SIGTERM, signal.SIGKILL):
                # Each leads a group of its own, in which its flow runs are, too.
                with suppress(ProcessLookupError):
                    os.killpg(program.pid, number)
                with suppress(subprocess.TimeoutExpired):
                    program.wait(END_TIME)

    def _start(self, name: str, *arguments: str) -> None:
        with (self._home / f"{name}.log").open("ab") as log:
            self._programs[name] = subprocess.Popen(
                [self._python.with_name("prefect"), *arguments],
                env=self._environ,
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self._environ, cwd=self._home, check=True, capture_output=True, text=True
        )
        return done.stdout

    def _await(self, is_there: Any, complaint: str) -> None:
        deadline = time.monotonic() + START_TIME
        while time.monotonic() < deadline:
            if is_there():
                return
            for name, program in self._programs.items():
                if program.poll() is not None:
                    raise RuntimeError(f"prefect's {name} ended:\n{self._log(name)}")
            time.sleep(0.1)
        logs = "\n".join(self._log(name) for name in self._programs)
        raise RuntimeError(f"prefect: {complaint} after {START_TIME:g} s:\n{logs}")

    def _log(self, name: str) -> str:
        return (self._home / f"{name}.log").read_text(errors="replace")[-3000:]

    def _get(self, path: str) -> Any:
        url = f"{self._environ['PREFECT_API_URL']}/{path}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)
        except (OSError, urllib.error.URLError):
            return None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def server() -> Generator[Peer]:
    """Run a server of Prefect's in a folder that is removed afterwards."""
    with scratch() as home:
        peer = Peer(home)
        try:
            peer.start_server()
            yield peer
        finally:
            peer.stop()
