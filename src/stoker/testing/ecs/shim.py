"""Stands in for a container's namespace: when its first process ends, all of them end.

Run by `ProcessRunner` as a script, with the standard library alone, so that it starts fast:

    shim.py STATUS_FD MEMORY_MIB NAMESPACE COMMAND…

It reads orders from its standard input: ``T`` is SIGTERM for the first process, ``K`` or the end of
the input is SIGKILL for all. It writes the exit code to STATUS_FD, and ``oom`` after it where the
container outgrew MEMORY_MIB (0 for no limit). With NAMESPACE 1 the command is PID 1 of a namespace.
"""

import ctypes
import os
import select
import signal
import sys

_PR_SET_CHILD_SUBREAPER = 36
_CLONE_NEWNS, _CLONE_NEWPID = 0x00020000, 0x20000000
_MS_REC, _MS_PRIVATE = 0x4000, 1 << 18
_LOOK = 0.25  # seconds between two looks at the memory
_PAGE = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Run the command and wait for its end."""
    status, memory, command = int(sys.argv[1]), int(sys.argv[2]) << 20, sys.argv[4:]
    namespace = sys.argv[3] == "1"
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if namespace:
        _check(libc.unshare(_CLONE_NEWPID))  # of what is forked from now on
    waking, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, _wake)
    signal.set_wakeup_fd(wake)
    first = os.fork()
    if first == 0:
        _become(command, status, libc if namespace else None)
    code = _watch(first, waking, memory)
    _end_all()
    os.write(status, code.encode())


def _wake(*_: object) -> None:
    """Nothing: that the signal came is all that select must know."""


def _check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _become(command: list[str], status: int, libc: ctypes.CDLL | None) -> None:
    """The first process: a session of its own, no descriptor but the three."""
    try:
        if libc is not None:
            _check(libc.unshare(_CLONE_NEWNS))
            _check(libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None))
            _check(libc.mount(b"proc", b"/proc", b"proc", 0, None))
        os.setsid()
        os.close(status)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with open("/proc/self/environ", "rb") as file:
            if b"LC_CTYPE=" not in file.read():
                # This Python has set it for itself (PEP 538); the container has none.
                os.environ.pop("LC_CTYPE", None)
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"exec {command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _watch(first: int, waking: int, memory: int) -> str:
    """Obey orders until the first process has ended; says how it has."""
    orders = [0, waking]
    outgrown = False
    while True:
        ended = _reap(first)
        if ended is not None:
            return f"{ended} oom" if outgrown else str(ended)
        ready, _, _ = select.select(orders, [], [], _LOOK if memory else None)
        if waking in ready:
            os.read(waking, 4096)
        if 0 in ready:
            order = os.read(0, 1)
            if order == b"T":
                os.kill(first, signal.SIGTERM)
            else:
                _kill(_descendants())
                if not order:
                    orders.remove(0)
        # Cheap first: what forked processes share is counted for each of them.
        if memory and not outgrown and _resident() > memory and _proportional() > memory:
            outgrown = True
            os.kill(first, signal.SIGKILL)


def _reap(first: int) -> int | None:
    """Take in who has ended; the exit code of the first process if it is among them."""
    found = None
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if process == 0:
            return found
        if process == first:
            code = os.waitstatus_to_exitcode(status)
            found = code if code >= 0 else 128 - code


def _end_all() -> None:
    """Kill what is left, until nothing is."""
    while True:
        _kill(_descendants())
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _kill(processes: list[int]) -> None:
    for process in processes:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _descendants() -> list[int]:
    """All processes below this one."""
    found: list[int] = []
    left = [os.getpid()]
    while left:
        process = left.pop()
        try:
            with open(f"/proc/{process}/task/{process}/children") as file:
                children = [int(child) for child in file.read().split()]
        except OSError:
            continue
        found += children
        left += children
    return found


def _proportional() -> int:
    """Bytes that the processes hold, what they share counted once."""
    used = 0
    for process in _descendants():
        try:
            with open(f"/proc/{process}/smaps_rollup") as file:
                for line in file:
                    if line.startswith("Pss_Anon:"):
                        used += int(line.split()[1]) << 10
        except OSError:
            continue
    return used


def _resident() -> int:
    """Bytes of the processes that no file is behind."""
    used = 0
    for process in _descendants():
        try:
            with open(f"/proc/{process}/statm") as file:
                fields = file.read().split()
            used += (int(fields[1]) - int(fields[2])) * _PAGE
        except OSError:
            continue
    return used


if __name__ == "__main__":
    main()
