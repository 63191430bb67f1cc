"""The child: forked before its run came, it executes that one run and ends."""

import atexit
import contextlib
import gc
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import NoReturn

import msgspec
from msgspec import Struct

from stoker.domain import deployments
from stoker.domain.environment import Environment
from stoker.domain.errors import Invalid
from stoker.domain.limits import MEGABYTE
from stoker.domain.reports import Finished, Started
from stoker.domain.states import StateRecord, StateType
from stoker.host import linux
from stoker.host.child import randomness, std_streams
from stoker.host.child.confining import confine
from stoker.host.child.own_user import OwnUser
from stoker.host.child.pipe import PipeBackend, receive_frame
from stoker.host.code.importing import Code, tell_birth
from stoker.host.code.runners import Runner
from stoker.suspend_signal import SUSPEND_SIGNAL
from stoker.wire import pipe as wire
from stoker.wire.host import Job

# What the interpreter itself calls at its end; there is no public name for either.
join_threads: Callable[[], None] = vars(threading)["_shutdown"]
run_exit_handlers: Callable[[], None] = vars(atexit)["_run_exitfuncs"]


TEMPORARY = ("TMPDIR", "TEMP", "TMP")
"""Variables that name the folder for temporary files."""

decode_job = msgspec.msgpack.Decoder(Job).decode
REHEARSAL = wire.encode(
    Job(run_id="", attempt=0, code=deployments.Code(path=".", file=""), function="")
)
"""A job that stands for any other."""


class Birth(Struct):
    """What a child starts with.

    Attributes:
        mother: The zygote's pid.
        link: Its end of the connection to the agent.
        out: Where its standard output goes.
        err: Where its standard error goes.
        tmp: The temporary folder it shall have for itself.
        random_state: See `randomness.find_state`.
        imports: Whether it imports its code for itself, and tells the agent when it has.
        own_user: How it gets a user id of its own; None where it keeps its zygote's.
    """

    mother: int
    link: socket.socket
    out: int
    err: int
    tmp: str
    random_state: int | None
    imports: bool
    own_user: OwnUser | None = None


def live(birth: Birth, code: Code, runner: Runner) -> NoReturn:
    """Get ready, wait for the job, execute it, end. Never returns into the zygote's code."""
    try:
        detach(birth)
        refresh(birth)
        module = code(birth.link)
        redirect(birth)
        rehearse(runner)
        gc.freeze()
        gc.enable()
        if birth.imports:
            tell_birth(birth.link)
        job = wait_for_job(birth.link)
        if job is None:
            os._exit(0)
        execute(job, birth, module, runner)
        end()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(1)


def detach(birth: Birth) -> None:
    """Become a process of its own, that dies with its zygote and shares nothing with it."""
    os.setsid()
    linux.be_killed_first()
    if birth.own_user is not None:
        birth.own_user.take()
    # Last of what concerns its identity: the kernel forgets it when the user id changes.
    linux.die_with_parent(birth.mother)
    linux.become_subreaper()
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def redirect(birth: Birth) -> None:
    """Have what is printed go to the agent: what an import prints is no part of a run's log."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (birth.out, 1), (birth.err, 2)):
        os.dup2(source, target)
        os.close(source)


def refresh(birth: Birth) -> None:
    """Replace what every child would share: random numbers and the temporary folder."""
    with contextlib.suppress(OSError):
        # On a full disk it is tried again when there is a run that can be told of it.
        os.mkdir(birth.tmp, 0o700)
    set_environment(dict.fromkeys(TEMPORARY, birth.tmp))
    # Left to itself, `tempfile` would take another folder, which nobody wipes, on a full disk.
    tempfile.tempdir = birth.tmp
    randomness.renew(birth.random_state)


def set_environment(values: Environment) -> None:
    """Set variables one by one, or take them away.

    ``os.environ.update`` first asks whether it was given a mapping, which touches, and so copies,
    a third of a megabyte that the process shares with its zygote.
    """
    for name, value in values.items():
        if value is not None:
            os.environ[name] = value
        elif name in os.environ:
            del os.environ[name]
    if "TZ" in values or "TZDIR" in values:
        time.tzset()
    for name in TEMPORARY:
        if name in values:
            tempfile.tempdir = None


def rehearse(runner: Runner) -> None:
    """Go once through all that happens around the user's own code.

    Memory that is used for the first time since the fork is copied then, page by page; and code
    that runs for the first time is slow. Both are better over before the job comes.
    """
    runner.rehearse()
    ours, theirs = socket.socketpair()
    before = sys.stdout, sys.stderr
    with ours, theirs:
        ours.sendall(wire.HEADER.pack(wire.KIND_JOB, len(REHEARSAL)) + REHEARSAL)
        job = wait_for_job(theirs)
        assert job is not None
        set_environment(job.env)
        os.chdir(job.code.path)
        backend = PipeBackend(theirs, job.run_id)
        streams = std_streams.capture(backend, job.run_id)
        sys.stdout.write("rehearsal\n")
        backend.report(job.run_id, Started(time.time()))
        streams.release()
        backend.finish(Finished(StateRecord(StateType.COMPLETED, "Completed", time.time())))
    sys.stdout, sys.stderr = before


def wait_for_job(link: socket.socket) -> Job | None:
    """Block until the job is there; None where the agent has no use for this child."""
    try:
        frame = receive_frame(link)
    except ConnectionResetError:
        return None
    return frame and decode_job(frame[1])


def execute(job: Job, birth: Birth, module: ModuleType, runner: Runner) -> None:
    """Run the job and report its end."""
    set_environment(job.env)
    os.chdir(job.code.working_dir or job.code.path)
    backend = PipeBackend(birth.link, job.run_id, int(job.limits.max_log * MEGABYTE))
    streams = std_streams.capture(backend, job.run_id)
    try:
        need_folder(birth.tmp)
        confine(job.limits, birth.tmp)
        finished = runner.execute(module, job, backend)
    except Invalid as error:
        state = StateRecord(StateType.FAILED, "Failed", time.time(), str(error))
        finished = Finished(state)
    except BaseException as error:
        text = f"the runner failed: {type(error).__name__}: {error}"
        state = StateRecord(StateType.CRASHED, "Crashed", time.time(), text)
        finished = Finished(state)
    for number in (signal.SIGTERM, SUSPEND_SIGNAL):
        signal.signal(number, signal.SIG_IGN)
    streams.release()
    backend.finish(finished)


def need_folder(path: str) -> None:
    """Make the run's temporary folder, if that could not be before; raise `Invalid` if not now."""
    if not os.path.isdir(path):
        try:
            os.mkdir(path, 0o700)
        except OSError as error:
            text = f"its temporary folder cannot be made: {error.strerror} ({path})"
            raise Invalid(text) from None


def end() -> NoReturn:
    """Do what a normal end of the interpreter does for users, and leave out its slow part.

    Tearing down the modules of a forked process copies all the memory that it shares.
    """
    join_threads()
    run_exit_handlers()
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            continue
    os._exit(0)
