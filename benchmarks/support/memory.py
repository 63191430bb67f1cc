"""Memory of processes, as the kernel accounts for it."""

from pathlib import Path

from support.report import say


def pss_mb(pids: list[int]) -> float:
    """Return the sum of the proportional set sizes, in MB.

    A process that is not dumpable shows it to root alone; there its resident size, which is more,
    stands in.
    """
    total = 0
    for pid in pids:
        try:
            total += _kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss:")
        except PermissionError:
            say(f"process {pid} shows its PSS to root alone; its RSS counts instead")
            total += _kilobytes(Path(f"/proc/{pid}/status"), "VmRSS:")
    return total / 1000


def _kilobytes(file: Path, field: str) -> int:
    for line in file.read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise ValueError(f"{file} has no {field}")


def children(pid: int) -> list[int]:
    """Return the children of a process."""
    return [child for child, parent in _parents().items() if parent == pid]


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    parents = _parents()
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def _parents() -> dict[int, int]:
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
            except OSError:
                continue
            # The second field is a name in brackets and may hold anything.
            parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
    return parents
