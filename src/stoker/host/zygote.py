"""The zygote: has one code imported, and forks the children that wait for runs of it.

It has one thread and no event loop: what it holds, every child inherits. Where the code holds
something that no child may inherit, the zygote is bare: it has Stoker and some large libraries
imported, and its children import the code each for itself, before a run comes.
"""

import gc
import importlib
import os
import select
import signal
import socket
import sys
import time
import traceback
import warnings
from types import FrameType
from typing import NoReturn

import msgspec

from stoker.host import control, linux
from stoker.host.child import life, own_user, randomness
from stoker.host.code import fork_check, loader, runners
from stoker.host.code.import_trace import ImportTrace
from stoker.host.code.importing import Code, failure, import_code, import_in_child
from stoker.host.control import Exited, FilesRead, Forked, Ready

STAMPS_PER_MESSAGE = 200
FAULTS = 20
"""Faults that are told at the most."""
END_TIME = 10.0
"""Seconds that killed processes get to end, before this one leaves."""
PAUSE = 0.2
"""Seconds until something is tried again for which the system had nothing left: no process, no
memory, no descriptor."""


class Bareness(msgspec.Struct, array_like=True):
    """What a zygote tells itself before it becomes bare; see `Zygote.serve_bare`."""

    setup: control.Setup
    libraries: list[str]


class Zygote:
    """Serves an agent's orders.

    Args:
        link: The connection to the agent.
        setup: What to import.
        environ: The environment that this process was started with.
    """

    def __init__(self, link: socket.socket, setup: control.Setup, environ: dict[str, str]) -> None:
        self._link = link
        self._setup = setup
        self._environ = environ
        self._decoder = msgspec.msgpack.Decoder(control.ToZygote)
        self._children: set[int] = set()
        self._kept: set[int] = set()
        self._owed = 0
        self._retired = False
        self._random_state: int | None = None
        self._bare = False
        self._own_user: own_user.OwnUser | None = None
        self._fence: float | None = None
        self._fork_at = 0.0
        self._look_at: float | None = None

    def serve(self) -> None:
        """Import, then fork as ordered until retired.

        Where what was imported cannot be forked, go on as another program, that has not.
        """
        started = time.monotonic()
        before = fork_check.descriptors()
        trace = ImportTrace()
        try:
            runner = runners.find(self._setup.runner)
            trace.install()
            try:
                module = import_code(self._setup, runner, trace)
            finally:
                trace.remove()
        except BaseException as error:
            # A user's module may raise anything, SystemExit too.
            self._send_stamps()
            self._send(failure(error, self._setup))
            return
        sys.stdout.flush()
        sys.stderr.flush()
        faults = [str(fault) for fault in fork_check.check(trace, before, runner.rehearse)]
        self._send_stamps()
        self._send(Ready(time.monotonic() - started, faults[:FAULTS]))
        if faults:
            self._become_bare(trace.libraries)
        self._serve(lambda _: module, runner)

    def _become_bare(self, libraries: list[str]) -> NoReturn:
        """Go on in a fresh interpreter, which has nothing of the user's.

        The agent sees the same process with the same connection.
        """
        for pid in linux.children():
            linux.kill(pid, signal.SIGKILL)
        os.closerange(control.FD + 1, os.sysconf("SC_OPEN_MAX"))
        self._link.set_inheritable(True)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
            # It would stay, and its handler would not.
            signal.setitimer(timer, 0)
        bareness = msgspec.json.encode(Bareness(self._setup, libraries)).decode()
        argv = [sys.executable, "-P", "-m", "stoker.host.zygote", str(os.getppid()), bareness]
        os.execve(sys.executable, argv, self._environ)

    def serve_bare(self, libraries: list[str]) -> None:
        """Fork children that import the code for themselves.

        Args:
            libraries: Modules that they need, and that it does not matter when they are imported.
        """
        self._bare = True
        setup, runner = self._setup, runners.find(self._setup.runner)
        os.chdir(setup.working_dir or setup.path)
        before, trace = fork_check.descriptors(), ImportTrace()
        try:
            for name in libraries:
                importlib.import_module(name)
            safe = not fork_check.check(trace, before, runner.rehearse)
        except BaseException:
            # Out of its order a library may fail in any way; then each child imports it itself.
            traceback.print_exc()
            safe = False
        if not safe and libraries:
            self._become_bare([])
        self._serve(lambda link: import_in_child(setup, runner, link), runner)

    def _serve(self, code: Code, runner: runners.Runner) -> None:
        if self._setup.own_user:
            self._own_user = own_user.find()
        self._wake = self._watch_children()
        self._kept = set(linux.children())
        self._random_state = randomness.find_state()
        gc.collect()
        gc.disable()
        gc.freeze()
        linux.collapse_memory()
        # The agent's end shows as the end of the link. This process then has to live on until it
        # has ended all that runs have started: init would get what has left their sessions.
        linux.outlive_parent()
        self._loop(code, runner)

    def _watch_children(self) -> int:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        signal.signal(signal.SIGCHLD, _ignore)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self._inherited = (self._link.fileno(), reader, writer)
        # A service manager may send these to every process of the service; the agent decides.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if sys.version_info >= (3, 12):
            # Libraries may have threads of their own; what a fork makes of them is known.
            warnings.filterwarnings("ignore", r"This process .* is multi-threaded")
        return reader

    def _loop(self, code: Code, runner: runners.Runner) -> None:
        poll = select.poll()
        poll.register(self._link, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        self._reap()
        while not (self._retired and not self._children):
            events = poll.poll(self._patience())
            for fd, _ in events:
                if fd == self._wake:
                    os.read(self._wake, 4096)
                    self._reap()
                elif not self._take_order():
                    return
            # Orders that wait come first: after a long import, or a stop, one may put it off.
            if not events and self._fence is not None and linux.boot_time() >= self._fence:
                return
            if self._look_at is not None and linux.boot_time() >= self._look_at:
                self._end_strays()
            if self._owed and linux.boot_time() >= self._fork_at:
                self._fork(code, runner)

    def _patience(self) -> float | None:
        """How long to wait for an order, in milliseconds; None is for ever."""
        times = [one for one in (self._fence, self._look_at) if one is not None]
        if self._owed:
            times.append(self._fork_at)
        if not times:
            return None
        left = min(times) - linux.boot_time()
        return left * 1000 + 1 if left > 0 else 0

    def _take_order(self) -> bool:
        packet = self._link.recv(control.MAX_PACKET)
        if not packet:
            return False
        order: control.ToZygote = self._decoder.decode(packet)
        match order:
            case control.Fork(count):
                self._owed += count
            case control.Kill(pid, number, group):
                if pid in self._children:
                    linux.kill(pid, number, group=group)
                    if number != signal.SIGSTOP:
                        # Stopped, it would not hear of it.
                        linux.kill(pid, signal.SIGCONT)
            case control.Retire():
                self._retired = True
                self._owed = 0
            case control.Fence(at):
                self._fence = at
            case control.Setup():
                raise ValueError("a zygote imports once")
        return True

    def _fork(self, code: Code, runner: runners.Runner) -> None:
        """Fork a child that is owed; later, where the system has no more to give."""
        opened: list[int] = []
        mother = os.getpid()
        try:
            pair = socket.socketpair()
            opened += [end.detach() for end in pair]
            opened += os.pipe()
            opened += os.pipe()
            pid = os.fork()
        except OSError as error:
            for fd in opened:
                os.close(fd)
            self._put_off(error)
            return
        ours, theirs, out, out_end, err, err_end = opened
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for fd in (*self._inherited, ours, out, err):
                os.close(fd)
            life.live(
                life.Birth(
                    mother=mother,
                    link=socket.socket(fileno=theirs),
                    out=out_end,
                    err=err_end,
                    tmp=os.path.join(self._setup.tmp, str(os.getpid())),
                    random_state=self._random_state,
                    imports=self._bare,
                    own_user=self._own_user,
                ),
                code,
                runner,
            )
        self._children.add(pid)
        try:
            socket.send_fds(self._link, [control.encode(Forked(pid))], [ours, out, err])
        except (BrokenPipeError, ConnectionResetError):
            raise
        except OSError as error:
            # Too many descriptors are on their way. Without its connection the child ends itself.
            self._put_off(error)
        else:
            self._owed -= 1
            self._fork_at = 0.0
        finally:
            for fd in opened:
                os.close(fd)

    def _put_off(self, error: OSError) -> None:
        if not self._fork_at:
            sys.stderr.write(f"stoker: cannot fork, trying again: {error}\n")
            sys.stderr.flush()
        self._fork_at = linux.boot_time() + PAUSE

    def _reap(self) -> None:
        ended = linux.reap()
        for pid, _ in ended:
            if pid in self._children:
                # Its number is its group's too, and not given to others while that has members.
                linux.kill(pid, signal.SIGKILL, group=True)
        if ended:
            self._end_strays()
        ours = [(pid, code) for pid, code in ended if pid in self._children]
        self._children.difference_update(pid for pid, _ in ours)
        self._kept.difference_update(pid for pid, _ in ended)
        if ours:
            self._send(Exited(ours))

    def _end_strays(self) -> None:
        """Kill what a run that is over left behind; their own children turn up at the next reap."""
        try:
            found = linux.children()
        except OSError:
            # There is no descriptor left to look with.
            self._look_at = linux.boot_time() + PAUSE
            return
        self._look_at = None
        for pid in found:
            if pid not in self._children and pid not in self._kept:
                linux.kill(pid, signal.SIGKILL)

    def _send_stamps(self) -> None:
        stamps = list(loader.read.values())
        for start in range(0, len(stamps), STAMPS_PER_MESSAGE):
            self._send(FilesRead(stamps[start : start + STAMPS_PER_MESSAGE]))

    def _send(self, message: control.FromZygote) -> None:
        self._link.send(control.encode(message))


def _ignore(number: int, frame: FrameType | None) -> None:
    """The wake-up descriptor has it."""
    del number, frame


def main() -> None:
    """Run a zygote; its agent is ``argv[1]`` and holds the other end of `control.FD`.

    With a ``argv[2]``, a `Bareness`, it is one that has found that its code cannot be forked.
    """
    linux.die_with_parent(int(sys.argv[1]))
    linux.become_subreaper()
    environ = dict(os.environ)
    link = socket.socket(fileno=control.FD)
    link.set_inheritable(False)
    bare = sys.argv[2:]
    sys.argv[:] = [""]
    try:
        if bare:
            bareness = msgspec.json.decode(bare[0], type=Bareness)
            Zygote(link, bareness.setup, environ).serve_bare(bareness.libraries)
        else:
            setup = msgspec.msgpack.decode(link.recv(control.MAX_PACKET), type=control.Setup)
            Zygote(link, setup, environ).serve()
    except (BrokenPipeError, ConnectionResetError):
        pass  # The agent is gone.
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        linux.end_tree(END_TIME)
        # Exit handlers are the runs'.
        os._exit(0)


if __name__ == "__main__":
    main()
