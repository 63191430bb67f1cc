"""A Stoker of its own for each test: they break it."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from stoker.client.http import Api
from stoker.domain.pools import WarmKnobs
from stoker.testing import Gate, Harness, harness
from stoker.testing.postgres import PostgresServer

PROJECT = Path(__file__).parent / "project"
QUICKLY = {"heartbeat": 0.5, "lease": 3.0, "sweep": 0.5}


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


class Pair:
    """Two servers on homes of their own, each with a worker of a pool of its own."""

    def __init__(self, folder: Path, database: str) -> None:
        self.database = database
        settings = {"database_url": database, **QUICKLY}
        self.left = Harness(folder / "left", settings)
        self.right = Harness(folder / "right", settings)
        self.both = (self.left, self.right)
        for one in self.both:
            one.start_server()
        # Whoever is with one goes on with the other.
        addresses = (
            {
                "STOKER_API_URL": f"{self.left.url},{self.right.url}",
            },
            {"STOKER_API_URL": f"{self.right.url},{self.left.url}"},
        )
        for one, pool, environ in zip(self.both, ("left", "right"), addresses, strict=True):
            one.environ.update(environ)
            one.create_pool(pool)
            one.start_worker(pool)
            one.deploy(PROJECT / "spread.py", name=pool, pool=pool)

    def api(self) -> Api:
        """A client of both."""
        return Api(f"{self.left.url},{self.right.url}")

    def close(self) -> None:
        """End all; a server that was killed has been started again by then."""
        for one in self.both:
            one.close()


@pytest.fixture
def pair(tmp_path: Path, postgres_url: str) -> Iterator[Pair]:
    """Two servers that a test may break; one that was killed has to run again at its end."""
    made = Pair(tmp_path, postgres_url)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def shared_pair(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Iterator[Pair]:
    """Two servers that the tests of a file share; none of them ends one."""
    url = postgres_server.create_database()
    made = Pair(tmp_path_factory.mktemp("pair"), url)
    try:
        yield made
    finally:
        made.close()
        postgres_server.drop_database(url.rpartition("/")[2])
