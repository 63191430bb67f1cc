"""A Stoker of its own for each test: they break it."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from stoker.domain.pools import WarmKnobs
from stoker.testing import Gate, Harness, harness

PROJECT = Path(__file__).parent / "project"


@pytest.fixture
def stoker(tmp_path: Path) -> Iterator[Harness]:
    """A server and a worker with one host, and every flow of the project deployed."""
    warm = WarmKnobs(min=1, max=1, slots_per_host=4)
    with harness(tmp_path / "home", warm=warm) as fresh:
        fresh.deploy(PROJECT / "flows.py")
        yield fresh


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate where flows wait for the test."""
    with Gate() as opened:
        yield opened


class Disk:
    """A small disk of its own, mounted on a folder.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path, megabytes: int) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        options = f"size={megabytes}m,mode=755"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "disk", str(path)], check=True)

    def fill(self) -> None:
        """Leave not a byte."""
        with (self.path / "ballast").open("ab", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(1 << 16))

    def free(self) -> None:
        """Take away again what filled it."""
        (self.path / "ballast").unlink()

    def unmount(self) -> None:
        """Take it away."""
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)


@pytest.fixture
def disk() -> Iterator[Callable[[Path, int], Disk]]:
    """Mounts small disks; called with a folder and a size in megabytes."""
    disks: list[Disk] = []

    def make(path: Path, megabytes: int) -> Disk:
        disks.append(Disk(path, megabytes))
        return disks[-1]

    yield make
    for one in disks:
        one.unmount()
