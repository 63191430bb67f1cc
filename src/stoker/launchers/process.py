"""Launches hosts as processes of this machine, and watches them by their pidfds."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from stoker.domain.hosts import ProcessIdentity
from stoker.ports.launcher import HostConfig, Launch, OnExit
from stoker.process_identity import identify, own_environment, start_time, this_machine
from stoker.process_marks import kill_marked

logger = logging.getLogger("stoker.launchers")

AGENT = "stoker.host.agent"
LOG_FORMAT = "STOKER_LOG_FORMAT"
FIRST_PAUSE, LAST_PAUSE = 0.01, 1.0
"""Seconds between two looks for processes that a dead host has left, doubled with each: what was
killed needs a moment to be gone."""
STUBBORN = 5
"""Looks after which those that are still there are named in the log."""
LAST_LOOKS = 2.0
"""Seconds that such looks get to end when the launcher is closed."""


class Watched(Struct, eq=False):
    """A host that is watched.

    Attributes:
        process: Which process it is.
        pidfd: Tells its end.
        own: Whether this process started it, and has to reap it.
        log: Its log; None where another process launched it.
        stopped: Whether this process was told to end it at once.
    """

    process: ProcessIdentity
    pidfd: int
    own: bool
    log: Path | None
    stopped: bool = False


class ProcessLauncher:
    """A `Launcher` for this machine.

    Args:
        on_exit: Called once a host and everything that it started has ended.
        python: The interpreter of hosts; this one by default.
    """

    def __init__(self, on_exit: OnExit, python: str = sys.executable) -> None:
        self._on_exit = on_exit
        self._python = python
        self._hosts: dict[str, Watched] = {}
        self._sweeps: set[asyncio.Task[None]] = set()

    async def launch(self, launch: Launch) -> ProcessIdentity:
        """Start a host in a session of its own; see `Launcher.launch`."""
        config = launch.config
        log = log_path(config)
        opened = [open_log(log)]
        try:
            opened += os.pipe()
            output, reader, writer = opened
            pid = self._spawn(reader, output, config)
            # It cannot be gone, and its pid another's: this process has not reaped it yet.
            try:
                pidfd = os.pidfd_open(pid)
                process = identity_of(pid)
            except OSError:
                # Nobody would know of it.
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                raise
            with contextlib.suppress(BrokenPipeError):
                os.write(writer, msgspec.json.encode(config) + b"\n")
        finally:
            for fd in opened:
                os.close(fd)
        self._watch(config.host_id, Watched(process, pidfd, own=True, log=log))
        return process

    def _spawn(self, stdin: int, output: int, config: HostConfig) -> int:
        own = own_environment()
        environ = {name: text for name, text in own.items() if name[:7] != "STOKER_"}
        if LOG_FORMAT in own:
            environ[LOG_FORMAT] = own[LOG_FORMAT]
        return os.posix_spawn(
            self._python,
            # -P: the folder where the worker was started is no place to import from.
            [self._python, "-P", "-m", AGENT],
            environ | {"STOKER_HOME": config.home},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, stdin, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP],
        )

    def adopt(self, host_id: str, process: ProcessIdentity) -> None:
        """Watch a host that another worker launched; see `Launcher.adopt`."""
        machine = this_machine()
        if host_id in self._hosts:
            return
        if not machine.shares_pids(process.machine):
            if machine.was_booted_since(process.machine):
                self._tell_soon(host_id, "its machine was started again")
            else:
                logger.warning("host %s is on %s, not here", host_id, process.machine.name)
            return
        try:
            pidfd = os.pidfd_open(process.pid)
        except ProcessLookupError:
            self._tell_soon(host_id, "its process is gone")
            return
        if start_time(process.pid) != process.started:
            os.close(pidfd)
            self._tell_soon(host_id, "its process is gone")
            return
        self._watch(host_id, Watched(process, pidfd, own=False, log=None))

    def _watch(self, host_id: str, host: Watched) -> None:
        self._hosts[host_id] = host
        asyncio.get_running_loop().add_reader(host.pidfd, self._on_end, host_id)

    def _on_end(self, host_id: str) -> None:
        host = self._hosts[host_id]
        self._let_go(host_id)
        reason = "its process is gone"
        if host.own:
            _, status = os.waitpid(host.process.pid, 0)
            reason = explain(os.waitstatus_to_exitcode(status), host.log)
        if host.log is not None:
            remove_empty(host.log)
        if host.stopped:
            reason = "it was stopped at once"
        self._tell_soon(host_id, reason)

    def _let_go(self, host_id: str) -> None:
        host = self._hosts.pop(host_id)
        asyncio.get_running_loop().remove_reader(host.pidfd)
        os.close(host.pidfd)

    def _tell_soon(self, host_id: str, reason: str) -> None:
        task = asyncio.get_running_loop().create_task(self._tell(host_id, reason))
        self._sweeps.add(task)
        task.add_done_callback(self._sweeps.discard)

    async def _tell(self, host_id: str, reason: str) -> None:
        """Tell of a host's end once nothing that its runs have started lives.

        Most of it dies with the agent. What does not, and is stuck in the kernel, could still
        write: until it is gone the host is not dead, and others may not do its runs' work.
        """
        pause, looks = FIRST_PAUSE, 0
        while True:
            try:
                left = await asyncio.to_thread(kill_marked, host_id)
            except OSError as error:
                logger.warning("host %s has ended; looking for its processes: %s", host_id, error)
                await asyncio.sleep(LAST_PAUSE)
                continue
            if not left:
                break
            looks += 1
            if looks == STUBBORN:
                logger.warning("host %s has ended, but not its processes %s", host_id, left)
            await asyncio.sleep(pause)
            pause = min(LAST_PAUSE, 2 * pause)
        self._on_exit(host_id, reason)

    async def stop(self, host_id: str, *, now: bool) -> None:
        """Ask a host to drain, or end it; see `Launcher.stop`."""
        host = self._hosts.get(host_id)
        if host is not None:
            host.stopped = host.stopped or now
            with contextlib.suppress(ProcessLookupError):
                number = signal.SIGKILL if now else signal.SIGTERM
                signal.pidfd_send_signal(host.pidfd, number)

    async def close(self) -> None:
        """Stop watching; hosts live on."""
        for host_id in list(self._hosts):
            self._let_go(host_id)
        if self._sweeps:
            _, late = await asyncio.wait(self._sweeps, timeout=LAST_LOOKS)
            for task in late:
                task.cancel()


def identity_of(pid: int) -> ProcessIdentity:
    """Return the identity of a child of this process, which may have ended already."""
    try:
        return identify(pid)
    except ProcessLookupError:
        return ProcessIdentity(pid, 0, this_machine())


def log_path(config: HostConfig) -> Path:
    """Return where a host's own output goes."""
    return Path(config.home) / "logs" / f"host-{config.host_id}.log"


def open_log(path: Path) -> int:
    """Open a host's log; where that cannot be, say so and open what swallows all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # To be read, too: a host shortens its own log.
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        logger.warning("a host is started without a log: %s", error)
        return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)


def remove_empty(log: Path) -> None:
    """Remove a log in which nothing was written."""
    with contextlib.suppress(OSError):
        if not log.stat().st_size:
            log.unlink()


def explain(code: int, log: Path | None) -> str:
    """Say in one line how a host ended, with its log's last where something was wrong."""
    if code == 0:
        return "it left"
    how = f"it ended with exit code {code}"
    if code < 0:
        # Real-time signals have no names.
        named = {one.value: one.name for one in signal.Signals}
        how = f"it was killed by {named.get(-code, f'signal {-code}')}"
    last: list[str] = []
    if log is not None:
        with contextlib.suppress(OSError):
            last = log.read_text(errors="replace").rstrip().splitlines()[-1:]
    return f"{how}; the last line of {log}: {last[0]}" if last else how
