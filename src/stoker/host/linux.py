"""What the host needs of Linux beyond the standard library."""

import ctypes
import os
import signal
import time

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36

HUGE_PAGE = 2 << 20
MADV_COLLAPSE = 25
"""Since Linux 6.1; see madvise(2)."""

FIRST_LOOK, LAST_LOOK = 0.0005, 0.1
"""Seconds between two looks whether what was killed is gone."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0):
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


def forbid_dumps() -> None:
    """Deny other processes of this user this process's memory and environment."""
    _prctl(PR_SET_DUMPABLE, 0)


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
