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

    def __init__(self, path: Path, megabytes: int, inodes: int | None = None) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        options = f"size={megabytes}m,mode=755"
        if inodes is not None:
            options += f",nr_inodes={inodes}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "disk", str(path)], check=True)

    def fill(self) -> None:
        """Leave not a byte, and room for no file."""
        with (self.path / "ballast").open("ab", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(1 << 16))
        with suppress(OSError):
            for number in range(1000):
                (self.path / f"ballast-{number}").touch()

    def free(self) -> None:
        """Take away again what filled it."""
        for file in self.path.glob("ballast*"):
            file.unlink()

    def unmount(self) -> None:
        """Take it away."""
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)


@pytest.fixture
def disk() -> Iterator[Callable[..., Disk]]:
    """Mounts small disks; called with a folder, megabytes, and how many files there may be."""
    disks: list[Disk] = []

    def make(path: Path, megabytes: int, inodes: int | None = None) -> Disk:
        disks.append(Disk(path, megabytes, inodes))
        return disks[-1]

    yield make
    for one in disks:
        one.unmount()
