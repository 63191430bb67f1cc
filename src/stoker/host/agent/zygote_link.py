"""The agent's end of a zygote, and of its children."""

import asyncio
import contextlib
import logging
import os
import resource
import signal
import sys
from collections import deque
from enum import StrEnum
from typing import Protocol

import msgspec

from stoker.domain.deployments import Code
from stoker.domain.environment import over
from stoker.host import control
from stoker.host.agent.child_link import ChildLink, Listener
from stoker.host.code import loader
from stoker.host.control import FileStamp
from stoker.process_marks import VARIABLE, mark

logger = logging.getLogger("stoker.host")

IMPORTS = os.cpu_count() or 1
"""Children of one zygote that import their code for themselves at a time."""
PAUSE = 0.2
"""Seconds until a child is ordered again for which the agent had no descriptors left."""


class ZygoteState(StrEnum):
    """Life of a zygote. ``RETIRED``: it gets no run any more, but some may be running."""

    IMPORTING = "importing"
    READY = "ready"
    RETIRED = "retired"
    FAILED = "failed"
    GONE = "gone"


class Keeper(Protocol):
    """Who hears of a zygote's life."""

    def on_ready(self, zygote: "ZygoteLink") -> None:
        """It has imported its code."""
        ...

    def on_retired(self, zygote: "ZygoteLink") -> None:
        """It was ready, and gets no run any more."""
        ...

    def on_child(self, zygote: "ZygoteLink") -> None:
        """A child is waiting."""
        ...

    def on_failed(self, zygote: "ZygoteLink") -> None:
        """It could not; see its ``message``."""
        ...

    def on_child_exit(self, zygote: "ZygoteLink", child: ChildLink, code: int | None) -> None:
        """A child has ended; code None where nobody saw how."""
        ...

    def on_gone(self, zygote: "ZygoteLink", code: int) -> None:
        """It has ended; all its children are reported before."""
        ...


class Nest(msgspec.Struct, frozen=True):
    """What zygotes of a host have in common.

    Attributes:
        host_id: The host.
        environ: Their environment, less their code's own.
        tmp: Folder of their children's temporary folders.
        file_limit: Descriptors that each of their processes may have open (the soft limit).
        output: Where they print; see `HostLog`.
    """

    host_id: str
    environ: dict[str, str]
    tmp: str
    file_limit: int
    output: int


class ZygoteLink:
    """A zygote, started at once.

    Args:
        code: What it imports.
        runner: Name of the runner whose jobs it takes.
        nest: See `Nest`.
        keeper: Who hears of it.
        listener: Who hears its children.

    Raises:
        OSError: It cannot be started: no such interpreter, or no such folder.
        ValueError: It cannot be started: its environment has a name like ``"A=B"``, or a NUL.
    """

    def __init__(
        self, code: Code, runner: str, nest: Nest, keeper: Keeper, listener: Listener
    ) -> None:
        self.code = code
        self.runner = runner
        self.state = ZygoteState.IMPORTING
        self.import_seconds = 0.0
        self.faults: list[str] = []
        self.birth_error = ""
        self.message = ""
        self.traceback = ""
        self.waiting: deque[ChildLink] = deque()
        self.children: dict[int, ChildLink] = {}
        self.ordered = 0
        self.running = 0
        self.used: float | None = None
        self.announced = False
        self._importing: set[ChildLink] = set()
        self._stamps: list[FileStamp] = []
        self._keeper = keeper
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._decoder = msgspec.msgpack.Decoder(control.FromZygote)
        self._outgoing: deque[bytes] = deque()
        self._link, theirs = control.socket_pair()
        self._link.setblocking(False)
        setup = control.Setup(
            code.path, code.file, code.working_dir, runner, nest.tmp, code.own_user
        )
        with theirs:
            try:
                self.pid = self._spawn(theirs.fileno(), nest)
                self._pidfd = open_pidfd(self.pid)
            except BaseException:
                self._link.close()
                raise
        # It is told what to import after this: no code of a user's runs under another limit.
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (nest.file_limit, hard))
        mark(self.pid, nest.host_id)
        self._send(setup)
        self._loop.add_reader(self._link, self._on_message)
        self._loop.add_reader(self._pidfd, self._on_end)

    def _spawn(self, fd: int, nest: Nest) -> int:
        python = self.code.python or sys.executable
        # -P: the folder where the agent was started is no place to import from.
        argv = [python, "-P", "-m", "stoker.host.zygote", str(os.getpid())]
        return os.posix_spawn(
            python,
            argv,
            environment_of(nest, self.code),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, nest.output, 1),
                (os.POSIX_SPAWN_DUP2, nest.output, 2),
                (os.POSIX_SPAWN_DUP2, fd, control.FD),
            ],
            setsigdef=[signal.SIGTERM, signal.SIGINT, signal.SIGPIPE],
        )

    # Orders.

    def fork(self, count: int) -> None:
        """Have children forked; where they import for themselves, a few at a time."""
        if self.faults:
            count = min(count, IMPORTS - self.ordered)
        if count > 0 and self.state is ZygoteState.READY:
            self.ordered += count
            self._send(control.Fork(count))

    def dismiss(self, count: int) -> None:
        """Let children go that wait; their end is nobody's loss."""
        for _ in range(count):
            child = self.waiting.pop()
            child.dismissed = True
            child.close()

    def kill(self, child: ChildLink, number: int, *, group: bool) -> None:
        """Signal a child, or its process group."""
        if child.pid in self.children:
            # A zygote that somebody has stopped could end nothing.
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGCONT)
            self._send(control.Kill(child.pid, number, group))

    def fence(self, at: float) -> None:
        """Have it end its children and itself at a boot time, unless told otherwise before."""
        self._send(control.Fence(at))

    def retire(self) -> None:
        """Give it no more runs; it leaves after its last one."""
        if self.state is ZygoteState.IMPORTING:
            # It may be anywhere in a user's code; nothing runs under it yet.
            self.state = ZygoteState.RETIRED
            self.end()
        elif self.state is ZygoteState.READY:
            self.state = ZygoteState.RETIRED
            self._send(control.Retire())
            while self.waiting:
                self.waiting.popleft().close()
            for child in self._importing:
                self.kill(child, signal.SIGKILL, group=True)
            self._keeper.on_retired(self)

    def end(self) -> None:
        """End it and its children at once."""
        if self.state is not ZygoteState.GONE:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def is_stale(self) -> bool:
        """Whether a file that it has loaded is not any more as it was."""
        return any(loader.stamp(stamp.path) != stamp for stamp in self._stamps)

    def take_child(self) -> ChildLink | None:
        """Return the child that has waited longest, if one is there."""
        return self.waiting.popleft() if self.waiting else None

    # Messages.

    def _send(self, message: control.ToZygote) -> None:
        self._outgoing.append(control.encode(message))
        if len(self._outgoing) == 1:
            self._flush()

    def _flush(self) -> None:
        while self._outgoing:
            try:
                self._link.send(self._outgoing[0])
            except BlockingIOError:
                self._loop.add_writer(self._link, self._on_writable)
                return
            except OSError:
                self._outgoing.clear()  # It is dead, and its end is about to be heard.
                return
            self._outgoing.popleft()

    def _on_writable(self) -> None:
        self._loop.remove_writer(self._link)
        self._flush()

    def _on_message(self) -> bool:
        for _ in range(64):
            try:
                packet, fds = control.receive(self._link)
            except BlockingIOError:
                return False
            except OSError:
                packet, fds = b"", []
            if not packet:
                self._loop.remove_reader(self._link)
                return False
            try:
                message: control.FromZygote = self._decoder.decode(packet)
            except msgspec.MsgspecError as error:
                logger.error("process %d said what cannot be read: %s", self.pid, error)
                for fd in fds:
                    os.close(fd)
                continue
            self._take(message, fds)
        return True

    def _take(self, message: control.FromZygote, fds: list[int]) -> None:
        match message:
            case control.FilesRead(files):
                self._stamps += files
            case control.Ready(seconds, faults):
                if self.state is ZygoteState.IMPORTING:
                    self.state = ZygoteState.READY
                    self.faults = faults
                    self.import_seconds = seconds
                    self._keeper.on_ready(self)
            case control.ImportFailed(text, traceback):
                if self.state is ZygoteState.IMPORTING:
                    self.state = ZygoteState.FAILED
                    self.message, self.traceback = text, traceback
                    self._keeper.on_failed(self)
            case control.Forked(pid) if len(fds) < 3:
                # The agent's own limit is reached. This child is of no use, and still owed.
                for fd in fds:
                    os.close(fd)
                self._send(control.Kill(pid, signal.SIGKILL, group=True))
                self._loop.call_later(PAUSE, self._order_again)
            case control.Forked(pid):
                child = ChildLink(pid, (fds[0], fds[1], fds[2]), self._listener, self._on_born)
                self.children[pid] = child
                self._importing.add(child)
                if not self.faults or self.state is not ZygoteState.READY:
                    self._on_born(child, "")
            case control.Exited(ended):
                for pid, code in ended:
                    child = self.children.pop(pid, None)
                    if child is not None:
                        self._bury(child, code)

    def _on_born(self, child: ChildLink, error: str) -> None:
        """A child waits for a run, or is about to end since it cannot have its code."""
        self.birth_error = error
        if error:
            return
        self._importing.discard(child)
        self.ordered = max(0, self.ordered - 1)
        if self.state is ZygoteState.READY:
            self.waiting.append(child)
            self._keeper.on_child(self)
        else:
            child.close()

    def _order_again(self) -> None:
        if self.state is ZygoteState.READY:
            self._send(control.Fork(1))

    def _bury(self, child: ChildLink, code: int | None) -> None:
        child.drain()
        with contextlib.suppress(ValueError):
            self.waiting.remove(child)
        if child in self._importing:
            self._importing.discard(child)
            self.ordered = max(0, self.ordered - 1)
        child.close()
        self._keeper.on_child_exit(self, child, code)

    def _on_end(self) -> None:
        """The zygote has ended, and its children with it: the kernel sees to that."""
        self._loop.remove_reader(self._pidfd)
        _, status = os.waitpid(self.pid, 0)
        while self._on_message():
            pass
        self._loop.remove_reader(self._link)
        if self._outgoing:
            self._loop.remove_writer(self._link)
        self._link.close()
        was = self.state
        self.state = ZygoteState.GONE
        os.close(self._pidfd)
        orphans = list(self.children.values())
        self.children.clear()
        for child in orphans:
            kill_group(child.pid)
            self._bury(child, None)
        if was is ZygoteState.IMPORTING:
            self.message = f"the import of {self.code.file} ended its process"
        self._keeper.on_gone(self, os.waitstatus_to_exitcode(status))


def environment_of(nest: Nest, code: Code) -> dict[str, str]:
    """Return the environment that a zygote is started in.

    Whose process it is cannot be hidden: what a dead host leaves is found by it.
    """
    return over(nest.environ, code.env) | {VARIABLE: nest.environ[VARIABLE]}


def open_pidfd(pid: int) -> int:
    """Return a pidfd of a child that was started just now; where there is none left, end it."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def kill_group(pid: int) -> None:
    """Kill what a child whose zygote is dead may have left in its process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
