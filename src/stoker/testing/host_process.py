"""A real host, for tests: its agent in a process of its own, connected to a `FakeApi`."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

import stoker
from stoker.domain.deployments import Code
from stoker.domain.ids import new_id
from stoker.domain.reports import Finished
from stoker.ports.launcher import HostConfig
from stoker.testing.fake_api import FakeApi
from stoker.wire import host as wire


class HostProcess:
    """A host.

    Args:
        api: Its server.
        home: Its home; made if need be.
        slots: Runs that it takes at a time.
        runner: Name of the runner of the jobs it gets.
        pythonpath: Folders that its processes may import from, besides the installed packages.
        grace: Seconds that runs get after SIGTERM.
        fence_after: Seconds; see `HostConfig`.
        through: A command that starts its agent, for example as another user.
        log: File that gets its log; this process's standard error by default.
        once: Whether it takes one run in its life.

    Example:
        >>> async def one_run(project: Path, home: Path) -> Finished:
        ...     async with FakeApi() as api:
        ...         host = HostProcess(api, home)
        ...         await host.start()
        ...         run_id = await host.assign(Code(path=str(project), file="flows.py"), "my_flow")
        ...         return await api.finished(run_id)
    """

    def __init__(
        self,
        api: FakeApi,
        home: Path,
        *,
        slots: int = 2,
        runner: str = "stoker",
        pythonpath: list[Path] | None = None,
        grace: float = 10.0,
        fence_after: float = 600.0,
        through: Sequence[str] = (),
        log: Path | None = None,
        once: bool = False,
    ) -> None:
        self.id = new_id(0.0)
        self.api = api
        self.home = home
        self._runner = runner
        self._through = through
        self._log = log
        self._pythonpath = [str(path) for path in pythonpath or []]
        self._config = HostConfig(
            host_id=self.id,
            token="test",
            api_url=api.url,
            home=str(home),
            slots=slots,
            fence_after=fence_after,
            grace=grace,
            cancel_grace=grace,
            once=once,
        )
        self._runs = 0
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, *, connected: bool = True) -> None:
        """Start it, and wait until it is connected."""
        self.home.mkdir(parents=True, exist_ok=True)
        source = str(Path(stoker.__file__).parent.parent)
        path = os.pathsep.join([*self._pythonpath, source])
        with ExitStack() as opened:
            log = opened.enter_context(self._log.open("ab")) if self._log else None
            self.process = await asyncio.create_subprocess_exec(
                *self._through,
                sys.executable,
                "-P",
                "-m",
                "stoker.host.agent",
                stdin=asyncio.subprocess.PIPE,
                stderr=log,
                env=os.environ | {"PYTHONPATH": path},
                start_new_session=True,
            )
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.json.encode(self._config) + b"\n")
        self.process.stdin.close()
        if connected:
            await self.api.connected()

    def job(self, code: Code, function: str, run_id: str = "", **more: Any) -> wire.Job:
        """Make a job; ``more`` are further fields of `Job`."""
        self._runs += 1
        return wire.Job(
            run_id=run_id or f"run-{self._runs}",
            attempt=more.pop("attempt", 1),
            code=code,
            function=function,
            runner=self._runner,
            **more,
        )

    async def assign(self, code: Code, function: str, **more: Any) -> str:
        """Assign a run; return its id."""
        job = self.job(code, function, **more)
        await self.api.say(wire.Assign(jobs=[job]))
        return job.run_id

    async def run(self, code: Code, function: str, **more: Any) -> Finished:
        """Assign a run and wait for its end."""
        return await self.api.finished(await self.assign(code, function, **more))

    async def value(self, code: Code, function: str, **parameters: Any) -> Any:
        """Have a function run, and return what it returned.

        Raises:
            AssertionError: It did not return.
        """
        finished = await self.run(code, function, parameters=parameters)
        assert finished.result is not None, finished.state
        assert finished.state.name == "Completed", finished.state
        return msgspec.json.decode(finished.result.data)

    def signal(self, number: int) -> None:
        """Signal the agent."""
        assert self.process is not None
        self.process.send_signal(number)

    async def ended(self, seconds: float = 20.0) -> int:
        """Wait for the agent's end; return its exit code."""
        assert self.process is not None
        async with asyncio.timeout(seconds):
            return await self.process.wait()

    async def stop(self) -> int:
        """Stop it at once, if it still runs; return its exit code."""
        if self.process is not None and self.process.returncode is None:
            self.signal(signal.SIGKILL)
        return await self.ended()

    def descendants(self) -> list[int]:
        """Return the pids of the processes that came from its zygotes, and these."""
        mark = f"STOKER_HOST_ID={self.id}".encode()
        found: list[int] = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open(f"/proc/{name}/environ", "rb") as file:
                        if mark in file.read().split(b"\0"):
                            found.append(int(name))
                except OSError:
                    continue
        return found

    def zygotes(self) -> list[int]:
        """Return the pids of its zygotes."""
        assert self.process is not None
        return children_of(self.process.pid)


def children_of(pid: int) -> list[int]:
    """Return the pids of a process's children."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]
