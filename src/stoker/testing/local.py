"""A whole Stoker for tests: a server and workers as real processes, on a home of their own."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stoker.client.health import healthy_server
from stoker.client.http import Api
from stoker.domain.deployments import Deployment
from stoker.domain.pools import WarmKnobs, WorkPool
from stoker.domain.requests import StartRun
from stoker.domain.runs import FlowRun, StoredLogLine
from stoker.states import State
from stoker.testing.deploying import Order, describe
from stoker.testing.processes import Process, await_ends, end_all, processes_of
from stoker.testing.programs import Program
from stoker.wire.http import PoolCreate

STARTING = 30.0
"""Seconds that a server gets until it answers."""
LEAVING = 3.0
"""Seconds in which everything that a server or worker started is gone after its end."""


class Harness:
    """A server, work pools and workers on a home of their own; see `harness`.

    All that it starts are real processes. `close` ends them, each by its pid, and fails where
    one is left.

    Args:
        home: Their STOKER_HOME.
        settings: Settings by name (see `stoker.settings.Settings`) for all of them.
        environ: Further environment for all of them.

    Attributes:
        home: Their STOKER_HOME.
        environ: The environment of what is started: this one's, without its STOKER_ settings.
        url: The server's address; empty before it is started.
        server: The server.
        workers: The workers, ended ones too.
    """

    def __init__(
        self,
        home: Path,
        settings: Mapping[str, object] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        kept = {name: text for name, text in os.environ.items() if not name.startswith("STOKER_")}
        given = {f"STOKER_{name.upper()}": str(value) for name, value in (settings or {}).items()}
        self.environ = {**kept, **(environ or {}), **given, "STOKER_HOME": str(home)}
        self.url = ""
        self.server: Program | None = None
        self.workers: list[Program] = []
        self._programs: list[Program] = []
        self._api: Api | None = None

    # Its processes.

    @property
    def api(self) -> Api:
        """A client of its server.

        Raises:
            RuntimeError: The server was never started.
        """
        if self._api is None:
            raise RuntimeError("the server was not started yet")
        return self._api

    def program(self, *arguments: str, environ: Mapping[str, str] | None = None) -> Program:
        """Start a ``stoker`` command that runs until it is stopped; `close` ends it too."""
        return self.script("-P", "-m", "stoker", *arguments, environ=environ)

    def script(
        self,
        *arguments: str,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        log: Path | None = None,
    ) -> Program:
        """Start Python with a script that runs until it is stopped; `close` ends it too.

        Args:
            arguments: What follows ``python``.
            environ: Environment besides its own.
            cwd: Its working directory; the home by default.
            log: File for what it prints; one in the home by default.
        """
        log = log or self.home / f"program-{len(self._programs)}.log"
        whole = {**self.environ, **(environ or {})}
        program = Program(list(arguments), whole, log, cwd or self.home)
        self._programs.append(program)
        return program

    def start_server(self) -> Program:
        """Start the server, and return it once it answers; again on the port that it had.

        Raises:
            RuntimeError: It ended, or does not answer.
        """
        port = self.url.rpartition(":")[2] or "0"
        self.server = self.program("server", "start", "--port", port)
        self.await_server(self.server)
        return self.server

    def await_server(self, program: Program) -> None:
        """Return once the server of this home answers, which ``program`` is or starts.

        Raises:
            RuntimeError: The program ended, or nothing answers.
        """
        deadline = time.monotonic() + STARTING
        while program.running and time.monotonic() < deadline:
            url = healthy_server(self.home, self._key)
            if url is not None:
                self._use(url)
                return
            time.sleep(0.01)
        raise RuntimeError(f"the server does not answer:\n{program.output()}")

    @property
    def _key(self) -> str | None:
        return self.environ.get("STOKER_API_KEY")

    def _use(self, url: str) -> None:
        if url == self.url:
            return
        if self._api is not None:
            self._api.close()
        self.url = url
        self._api = Api(url, self._key, timeout=30.0)

    def start_worker(
        self, pool: str = "default", *, queues: Sequence[str] = (), limit: int | None = None
    ) -> Program:
        """Start a worker of a pool, and return it once it serves it.

        Raises:
            RuntimeError: It ended, or does not get so far.
        """
        name = f"worker-{len(self.workers)}"
        arguments = ["worker", "start", "--pool", pool, "--name", name]
        for queue in queues:
            arguments += ["--queue", queue]
        if limit is not None:
            arguments += ["--limit", str(limit)]
        worker = self.program(*arguments)
        self.workers.append(worker)
        deadline = time.monotonic() + STARTING
        while worker.running and time.monotonic() < deadline:
            if any(one.name == name for one in self.api.pool(pool).workers):
                return worker
            time.sleep(0.01)
        raise RuntimeError(f"the worker does not serve pool {pool!r}:\n{worker.output()}")

    def processes(self) -> list[Process]:
        """Return all its living processes: those of this home, and what descends from them."""
        return processes_of(self.home, [one.pid for one in self._programs if one.running])

    def cli(
        self,
        *arguments: str,
        check: bool = True,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 60.0,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a ``stoker`` command to its end.

        Args:
            arguments: What follows ``stoker``.
            check: Whether an exit code that is not 0 is an error.
            environ: Environment besides its own.
            cwd: Its working directory; the home by default.
            timeout: Seconds.

        Raises:
            AssertionError: The exit code is not 0.
            TimeoutExpired: It did not end in time.
        """
        return self.python(
            "-m", "stoker", *arguments, check=check, environ=environ, cwd=cwd, timeout=timeout
        )

    def python(
        self,
        *arguments: str,
        check: bool = True,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 60.0,
    ) -> "subprocess.CompletedProcess[str]":
        """Run Python to its end in this environment, for example a script; see `cli`."""
        done = subprocess.run(
            [sys.executable, *arguments],
            env={**self.environ, **(environ or {})},
            cwd=cwd or self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(
                f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done

    # Pools and deployments.

    def create_pool(
        self, name: str, *, limit: int | None = None, warm: WarmKnobs | None = None
    ) -> WorkPool:
        """Make a process pool; it keeps one host by default."""
        knobs = WarmKnobs(min=1) if warm is None else warm
        return self.api.create_pool(PoolCreate(name=name, concurrency_limit=limit, warm=knobs))

    def deploy(
        self,
        file: str | Path,
        *functions: str,
        name: str = "test",
        pool: str = "default",
        queue: str = "default",
        parameters: Mapping[str, Any] | None = None,
        job_variables: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
        isolation: str = "fork",
        project: str | Path | None = None,
    ) -> dict[str, Deployment]:
        """Deploy flows of a file, and return the deployments by function.

        The file is imported in a process of its own.

        Args:
            file: The file.
            functions: The flows' functions; all flows of the file by default.
            name: The deployments' own name: that of ``"flow/name"``.
            pool: The work pool.
            queue: Its queue.
            parameters: Defaults of the runs' parameters.
            job_variables: What they set of the pool's base job template.
            tags: Labels.
            isolation: ``"fork"`` or ``"host"``.
            project: Folder from which runs import, and where they start; the file's own by
                default.

        Raises:
            Invalid: The file cannot be imported, or has no such flow.
        """
        path = Path(file).resolve()
        order = Order(
            file=str(path),
            functions=list(functions),
            name=name,
            pool=pool,
            queue=queue,
            parameters=dict(parameters or {}),
            job_variables=dict(job_variables or {}),
            tags=list(tags),
            isolation=isolation,
            project=str(project or path.parent),
        )
        found = describe(order, self.environ)
        return {one.function: self.api.put_deployment(one) for one in found}

    # Runs.

    def start(
        self,
        deployment: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        env: Mapping[str, str | None] | None = None,
        tags: Sequence[str] = (),
    ) -> FlowRun:
        """Start a run of the deployment ``"flow/name"``, and return it as it was accepted.

        Args:
            deployment: Its full name.
            parameters: The run's.
            env: Its run environment.
            tags: Its labels.
        """
        variables: dict[str, Any] = {"env": dict(env)} if env else {}
        return self.api.start_run(
            StartRun(
                deployment=deployment,
                parameters=dict(parameters or {}),
                job_variables=variables,
                tags=list(tags),
            )
        )

    def run(
        self,
        deployment: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        env: Mapping[str, str | None] | None = None,
        tags: Sequence[str] = (),
        timeout: float = 30.0,
    ) -> FlowRun:
        """Start a run, and return it when it is over.

        Raises:
            TimeoutError: It is not over after so many seconds.
        """
        return self.wait(self.start(deployment, parameters, env=env, tags=tags), timeout)

    def wait(self, run: FlowRun | str, timeout: float = 30.0) -> FlowRun:
        """Return a run when it is over.

        Raises:
            TimeoutError: It is not over after so many seconds.
        """
        run_id = run if isinstance(run, str) else run.id
        ended = self.api.wait_run(run_id, timeout)
        if not ended.state.is_terminal:
            waits = f", waits: {ended.waiting_for}" if ended.waiting_for else ""
            raise TimeoutError(f"run {ended.name} is {ended.state} after {timeout:g} s{waits}")
        return ended

    def value(
        self, deployment: str, parameters: Mapping[str, Any] | None = None, **more: Any
    ) -> Any:
        """Run a deployment and return its value; ``more`` is for `run`.

        Raises:
            Exception: What ended the run.
        """
        return result_of(self.run(deployment, parameters, **more))

    def await_state(self, run: FlowRun | str, name: str, seconds: float = 30.0) -> FlowRun:
        """Return a run once it is in the state of this name, which is no end.

        Raises:
            TimeoutError: It is not, after so many seconds, or is over.
        """
        run_id = run if isinstance(run, str) else run.id
        deadline = time.monotonic() + seconds
        while True:
            found = self.api.wait_run(run_id, 0.01)
            if found.state.name == name:
                return found
            if found.state.is_terminal or time.monotonic() > deadline:
                raise TimeoutError(f"run {found.name} is {found.state}, not {name}")

    def logs(self, run: FlowRun | str) -> list[StoredLogLine]:
        """Return all log lines of a run so far."""
        run_id = run if isinstance(run, str) else run.id
        lines: list[StoredLogLine] = []
        while page := self.api.logs(run_id, after=lines[-1].id if lines else 0):
            lines += page
        return lines

    def await_log(
        self, run: FlowRun | str, found: Callable[[StoredLogLine], bool], timeout: float = 30.0
    ) -> StoredLogLine:
        """Return the first log line that ``found`` accepts, once the server has it.

        Raises:
            TimeoutError: There is none after so many seconds.
        """
        run_id = run if isinstance(run, str) else run.id
        deadline = time.monotonic() + timeout
        after = 0
        while (left := deadline - time.monotonic()) > 0:
            for line in self.api.logs(run_id, after=after, wait=left):
                after = line.id
                if found(line):
                    return line
        raise TimeoutError(f"run {run_id} has no such log line after {timeout:g} s")

    # Its end.

    def close(self) -> None:
        """End everything.

        Raises:
            AssertionError: A process that it started, or one of these, is left; it is killed.
        """
        known = self.processes()
        # The workers end their hosts, which report to the server: it ends last.
        others = [one for one in self._programs if one is not self.server]
        for program in [*others, *([self.server] if self.server else [])]:
            self._end(program)
        if self._api is not None:
            self._api.close()
        if any(one.process.returncode for one in others):
            # Hosts outlive a worker that is killed.
            end_all(one for one in self.processes() if "stoker.host.agent" in one.command)
        left = await_ends([*known, *self.processes()], LEAVING)
        end_all(left)
        if left:
            shown = "\n".join(f"  {one.pid}: {one.command}" for one in left)
            raise AssertionError(f"processes are left of {self.home}:\n{shown}")

    def _end(self, program: Program) -> None:
        if not program.running:
            return
        # The second signal stops at once.
        for seconds in (0.2, 15.0):
            with suppress(subprocess.TimeoutExpired):
                program.stop(seconds)
                return
        program.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def result_of(run: FlowRun) -> Any:
    """Return what a run returned.

    Raises:
        Exception: What ended the run.
    """
    return State[Any].from_record(run.state, run.result).result()


@contextmanager
def harness(
    home: str | Path | None = None,
    *,
    pool: str | None = "default",
    limit: int | None = None,
    warm: WarmKnobs | None = None,
    settings: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Generator[Harness]:
    """Run a server with one process pool and its worker, while a test lasts.

    Args:
        home: STOKER_HOME; a temporary folder by default.
        pool: Name of the pool; None to start the server alone.
        limit: The pool's concurrency limit.
        warm: Its warm policy; one host is kept by default.
        settings: Settings by name (see `stoker.settings.Settings`), for example ``lease=5``.
        environ: Further environment of server, worker and runs.

    Raises:
        AssertionError: At the end, where a process is left.

    Example:
        ```python
        def test_etl():
            with harness() as stoker:
                stoker.deploy("flows.py")
                assert stoker.value("etl/test", {"day": "2026-01-01"}) == 7
        ```
    """
    with (
        tempfile.TemporaryDirectory(prefix="stoker-", ignore_cleanup_errors=True) as folder,
        Harness(Path(home or folder), settings, environ) as stoker,
    ):
        stoker.start_server()
        if pool is not None:
            stoker.create_pool(pool, limit=limit, warm=warm)
            stoker.start_worker(pool)
        yield stoker
