"""What the host needs of Linux beyond the standard library."""

import ctypes
import os
import signal
import struct
import time
from contextlib import suppress

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2

SECBIT_NO_SETUID_FIXUP = 4
CAPABILITY_VERSION = 0x2008_0522
"""``_LINUX_CAPABILITY_VERSION_3``; see capset(2)."""

OOM_SCORE = b"500"
"""Half of the memory that there is, added to what a process uses; see proc(5)."""

HUGE_PAGE = 2 << 20
MADV_COLLAPSE = 25
"""Since Linux 6.1; see madvise(2)."""

FIRST_LOOK, LAST_LOOK = 0.0005, 0.1
"""Seconds between two looks whether what was killed is gone."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def _prctl(option: int, value: int, second: int = 0) -> None:
    if _libc.prctl(option, value, second, 0, 0):
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}): {os.strerror(code)}")


def die_with_parent(parent: int) -> None:
    """Have this process killed when its parent dies; end at once if it is dead already.

    The parent is the *thread* that forked: call it only in children of a main thread.
    """
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def outlive_parent() -> None:
    """Have this process live on when its parent dies; see `die_with_parent`."""
    _prctl(PR_SET_PDEATHSIG, 0)


def become_subreaper() -> None:
    """Adopt descendants whose parents end, so that none gets lost."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def be_killed_first() -> None:
    """Where memory is used up, have the kernel choose this process before those of the host."""
    with suppress(OSError):
        handle = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(handle, OOM_SCORE)
        os.close(handle)


def forbid_dumps() -> None:
    """Deny other processes of this user this process's memory and environment."""
    _prctl(PR_SET_DUMPABLE, 0)


def allow_dumps() -> None:
    """Undo `forbid_dumps`, or what the kernel does itself when a process changes its user id."""
    _prctl(PR_SET_DUMPABLE, 1)


def effective_capabilities() -> int:
    """Return the capabilities that this process has, as a set of bits."""
    with open("/proc/self/status") as file:
        (line,) = [line for line in file if line.startswith("CapEff:")]
    return int(line.split()[1], 16)


def keep_capabilities() -> None:
    """Have the permitted capabilities survive a change of the user id from root's.

    Where it may be asked for, access(2) goes by them too after that, as open(2) does.
    """
    _prctl(PR_SET_KEEPCAPS, 1)
    with suppress(PermissionError):
        _prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)


def capability_set(bits: int) -> tuple[bytes, bytes]:
    """Return what `set_capabilities` takes, for capabilities of numbers below 32."""
    header = struct.pack("=Ii", CAPABILITY_VERSION, 0)
    return header, struct.pack("=6I", bits, bits, bits, 0, 0, 0)


def set_capabilities(wanted: tuple[bytes, bytes]) -> None:
    """Make these the effective, permitted and inheritable capabilities of this process."""
    if _libc.capset(*wanted):
        code = ctypes.get_errno()
        raise OSError(code, f"capset: {os.strerror(code)}")


def raise_ambient(capability: int) -> None:
    """Let a capability that is permitted and inheritable be kept by the programs it executes."""
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)


def gain_no_privileges() -> None:
    """Let no program give this process or its children more rights than it has."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)


def collapse_memory() -> None:
    """Have the memory that this process has filled put into huge pages, where the kernel can.

    A fork copies an entry for each page, and an exit drops it again: with few large ones both cost
    less. What a child writes is still copied in small ones.
    """
    with open("/proc/self/maps") as file:
        regions = [line.split() for line in file]
    for span, access, *rest in regions:
        if not access.startswith("rw") or (len(rest) > 3 and rest[3] != "[heap]"):
            continue
        start, end = (int(place, 16) for place in span.split("-"))
        first = -(-start // HUGE_PAGE) * HUGE_PAGE
        for address in range(first, end - HUGE_PAGE + 1, HUGE_PAGE):
            # A block with holes, or an older kernel, refuses; nothing depends on it.
            _libc.madvise(address, HUGE_PAGE, MADV_COLLAPSE)


def end_tree(seconds: float) -> None:
    """Kill all that descends from this process, and return when nothing is left of it.

    As their subreaper it gets the children of those that die, until there are none.

    Args:
        seconds: How long at the most: a process may be stuck in the kernel, or another user's.
    """
    deadline = time.monotonic() + seconds
    pause = FIRST_LOOK
    while time.monotonic() < deadline:
        with suppress(OSError):  # No descriptor is left: there may be one a little later.
            for pid in children():
                kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pause = FIRST_LOOK
        except ChildProcessError:
            return
        time.sleep(pause)
        pause = min(LAST_LOOK, 2 * pause)


def boot_time() -> float:
    """Seconds since boot, suspended time included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def children() -> list[int]:
    """Return the pids of this process's children, those that it adopted included."""
    found: list[int] = []
    for thread in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{thread}/children") as file:
                found += map(int, file.read().split())
        except FileNotFoundError:
            continue
    return found


def kill(pid: int, number: int, *, group: bool = False) -> None:
    """Signal a process, or its whole process group; nothing happens where it is gone."""
    try:
        (os.killpg if group else os.kill)(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def reap() -> list[tuple[int, int]]:
    """Return pid and exit code (minus the signal's number) of children that have ended."""
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if not pid:
            return ended
        ended.append((pid, os.waitstatus_to_exitcode(status)))
