"""How much memory processes hold, and how much there is; see proc(5) and cgroups(7)."""

import os
from collections.abc import Iterator
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
KIB = 1024


def tree(pid: int) -> Iterator[tuple[int, int]]:
    """Yield a process and all that descends from it, each with its parent in the tree, or 0."""
    waiting = [(pid, 0)]
    while waiting:
        found = waiting.pop()
        yield found
        waiting += [(child, found[0]) for child in _children(found[0])]


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    except OSError:
        pass  # It has ended.
    return found


def bound(pid: int) -> int:
    """Return bytes that a process and its descendants do not exceed: what is shared counts often.

    It is cheap. What is swapped out is left out; see `Machine.swapped`.
    """
    total = 0
    for one, _ in tree(pid):
        try:
            total += int(_read(f"/proc/{one}/statm").split()[1]) * PAGE
        except (OSError, IndexError):
            continue
    return total


def held(pid: int, zygote: int) -> int:
    """Return the bytes that a run's processes hold: of what they share with others, their part.

    Args:
        pid: The run's own process.
        zygote: The process that it was forked from.
    """
    total = shared = 0
    for one, parent in tree(pid):
        try:
            total += _fields(f"/proc/{one}/smaps_rollup", "Pss:", "SwapPss:")
        except PermissionError:
            try:
                total += _own(one, parent or zygote)
                shared = max(shared, _fields(f"/proc/{one}/status", "RssShmem:"))
            except OSError:
                continue
        except OSError:
            continue
    return total + shared


def _own(pid: int, parent: int) -> int:
    """About what a process holds beyond its parent, where the kernel does not tell us its share."""
    names = "RssAnon:", "VmSwap:"
    total = _fields(f"/proc/{pid}/status", *names)
    # What was forked and is the same program still shares what its parent had.
    if _read(f"/proc/{pid}/cmdline") == _read(f"/proc/{parent}/cmdline"):
        total -= _fields(f"/proc/{parent}/status", *names)
    return max(0, total)


class Machine:
    """The memory that there is for this process: the machine's, or its control groups' limit.

    Args:
        proc: Where procfs is.
        groups: Where the control groups are.
    """

    def __init__(self, proc: str = "/proc", groups: str = "/sys/fs/cgroup") -> None:
        self._meminfo = f"{proc}/meminfo"
        self._groups = list(_groups(Path(proc), Path(groups)))

    def memory(self) -> tuple[int, int]:
        """Return the bytes that there are, and those that are available.

        Raises:
            OSError: The kernel does not say.
        """
        total = _fields(self._meminfo, "MemTotal:")
        available = _fields(self._meminfo, "MemAvailable:")
        for group in self._groups:
            try:
                limit, left = group.memory()
            except (OSError, ValueError):
                continue  # It has no limit.
            if limit < total:
                total, available = limit, min(available, left)
        return total, available

    def swapped(self) -> int:
        """Return the bytes of all processes that are swapped out."""
        return _fields(self._meminfo, "SwapTotal:") - _fields(self._meminfo, "SwapFree:")


class _Group:
    """A control group, of version 1 or 2."""

    def __init__(self, folder: Path, version: int) -> None:
        first = version == 1
        self._limit = str(folder / ("memory.limit_in_bytes" if first else "memory.max"))
        self._usage = str(folder / ("memory.usage_in_bytes" if first else "memory.current"))
        self._stat = str(folder / "memory.stat")
        prefix = "total_" if first else ""
        # Pages of files are given up before anybody is killed.
        self._reclaimable = (f"{prefix}inactive_file", f"{prefix}active_file")

    def memory(self) -> tuple[int, int]:
        limit = int(_read(self._limit))
        used = int(_read(self._usage)) - _fields(self._stat, *self._reclaimable, unit=1)
        return limit, max(0, limit - used)


def _groups(proc: Path, root: Path) -> Iterator[_Group]:
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        first = "memory" in controllers.split(",")
        if not first and controllers:
            continue
        top = root / "memory" if first else root
        place = top / path.lstrip("/")
        # In a container the path may be that of the machine outside.
        places = [place, *place.parents] if place.exists() else [top]
        for folder in places:
            if folder == top or top in folder.parents:
                yield _Group(folder, 1 if first else 2)


def _read(path: str) -> bytes:
    handle = os.open(path, os.O_RDONLY)
    try:
        parts: list[bytes] = []
        while part := os.read(handle, 65536):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(handle)


def _fields(path: str, *names: str, unit: int = KIB) -> int:
    """Return the sum of some numbers of a file that has one on each line, behind its name."""
    wanted = [name.encode() for name in names]
    total = 0
    for line in _read(path).splitlines():
        words = line.split()
        if len(words) > 1 and words[0] in wanted:
            total += int(words[1]) * unit
    return total
