"""The fork check: whether children may be forked from what a zygote has imported.

A forked child has a copy of the memory, but no other thread than the one that forked, and it
shares each open file with its siblings: a thread's locks are never released in it, and two that
read one socket take each other's answers. So a probe is forked, and what is left in the zygote
after that is looked at: OpenBLAS, for one, ends its threads before each fork and is safe.
"""

import fcntl
import os
import select
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator, Set
from typing import Any, cast

from msgspec import Struct

from stoker.host.code.import_trace import ImportTrace
from stoker.shortage import patiently

PROBE_TIME = 10.0
"""Seconds that the probe gets; one that takes longer hangs in a lock."""
SETTLE_TIME = 0.1
"""Seconds that threads get to end which were about to at the fork."""

SAFE_THREADS = frozenset({"jemalloc_bg_thd"})
"""Names of threads whose library gets ready for each fork by itself, and goes on in both."""

SAFE_DEVICES = frozenset(
    {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}
)
"""Devices that any number of processes may share."""


class Fault(Struct, array_like=True, frozen=True):
    """What a forked child could not use.

    Attributes:
        what: The thread, socket or file, as users know it.
        module: The module whose import brought it; empty where that is not known.
    """

    what: str
    module: str = ""

    def __str__(self) -> str:
        return f"{self.module}: {self.what}" if self.module else self.what


def check(trace: ImportTrace, before: Set[int], rehearse: Callable[[], None]) -> list[Fault]:
    """Return what is not safe in a fork of this process; nothing where it may be forked.

    Args:
        trace: The watch over the import.
        before: Descriptors that were open before the import, and Stoker's own.
        rehearse: What a child does before it waits; the probe does it, too.
    """
    found = _probe(rehearse)
    found += [
        Fault(f"it runs the thread {name!r}", trace.threads.get(thread, ""))
        for thread, name in _threads()
    ]
    found += [
        Fault(what, trace.files.get(fd, ""))
        for fd in sorted(descriptors() - before)
        if (what := _shared(fd)) is not None
    ]
    return list(dict.fromkeys(found))


def _probe(rehearse: Callable[[], None]) -> list[Fault]:
    """Fork a child that does what all children do, and see whether it comes to its end."""
    # A handler of the user's, or none at all, might take its end away.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = patiently(os.fork, "fork")
    if pid == 0:
        try:
            rehearse()
        except BaseException:
            # Whatever it is, it is the verdict; nothing of it may reach the zygote's own code.
            os._exit(1)
        os._exit(0)
    pidfd = patiently(lambda: os.pidfd_open(pid), "look at a process")
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    try:
        ended = poll.poll(PROBE_TIME * 1000)
        if not ended:
            os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(pidfd)
    if not ended:
        return [Fault("a forked process hangs")]
    if code < 0:
        names = {one.value: one.name for one in signal.Signals}
        return [Fault(f"a forked process is killed by {names.get(-code, f'signal {-code}')}")]
    return [Fault(f"a forked process ends with exit code {code}")] if code else []


def _threads() -> list[tuple[int, str]]:
    """The threads of this process that are no fault of Stoker's, and their names."""
    deadline = time.monotonic() + SETTLE_TIME
    while found := list(_other_threads()):
        if time.monotonic() > deadline:
            break
        time.sleep(SETTLE_TIME / 20)
    return found


def _other_threads() -> Iterator[tuple[int, str]]:
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    for entry in os.listdir("/proc/self/task"):
        thread = int(entry)
        if thread == threading.get_native_id():
            continue
        try:
            with open(f"/proc/self/task/{entry}/comm") as file:
                name = file.read().strip()
        except OSError:
            continue  # It has ended.
        if name not in SAFE_THREADS:
            yield thread, names.get(thread, name)


def descriptors() -> frozenset[int]:
    """Return the open descriptors of this process."""
    listed = map(int, os.listdir("/proc/self/fd"))
    return frozenset(fd for fd in listed if os.path.lexists(f"/proc/self/fd/{fd}"))


def _shared(fd: int) -> str | None:
    """Say what siblings would share through a descriptor; None where that is no harm."""
    try:
        mode = os.fstat(fd).st_mode
        target = os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return None
    if stat.S_ISSOCK(mode):
        return f"it has a socket open ({_describe_socket(fd)})"
    if stat.S_ISREG(mode):
        return _shared_file(fd, target)
    if stat.S_ISFIFO(mode):
        return None if fd == _resource_tracker() else "it has a pipe open"
    if stat.S_ISCHR(mode):
        return None if target in SAFE_DEVICES else f"it has the device {target} open"
    if target.startswith("anon_inode:") and "pidfd" not in target:
        kind = target.removeprefix("anon_inode:").strip("[]")
        return f"it has an event loop or the like open ({kind})"
    return None


def _shared_file(fd: int, path: str) -> str | None:
    # A log file is written by all and read by none. What has no name any more is shared memory,
    # or code that a library has made.
    writes_only = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY
    if writes_only or path.endswith(" (deleted)") or path.startswith(("/proc/", "/sys/")):
        return None
    return f"it has the file {path} open, whose position all would share"


def _describe_socket(fd: int) -> str:
    try:
        with socket.socket(fileno=os.dup(fd)) as copy:
            family = socket.AddressFamily(copy.family).name.removeprefix("AF_").lower()
            peer = _address(copy.getpeername)
            own = _address(copy.getsockname)
    except (OSError, ValueError):
        return "of an unknown kind"
    if peer:
        return f"{family}, connected to {peer}"
    return f"{family}, bound to {own}" if own else family


def _address(get: Callable[[], Any]) -> str:
    try:
        address = get()
    except OSError:
        return ""
    if not isinstance(address, tuple):
        return str(address or "")
    host, port = cast(tuple[Any, ...], address)[:2]
    return f"{host}:{port}" if port else ""


def _resource_tracker() -> int | None:
    """The pipe of `multiprocessing.resource_tracker`, made to be shared by forked processes."""
    module = sys.modules.get("multiprocessing.resource_tracker")
    tracker = vars(module).get("_resource_tracker") if module is not None else None
    return getattr(tracker, "_fd", None)
