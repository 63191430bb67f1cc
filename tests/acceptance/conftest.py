"""One Stoker that the acceptance tests share: a server, a pool, a worker, deployed flows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stoker.domain.pools import WarmKnobs
from stoker.testing import Gate, Harness, harness
from stoker.testing.postgres import PostgresServer

PROJECT = Path(__file__).parent / "project"


@pytest.fixture(scope="session")
def stoker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """A server and a worker, with every flow of the project deployed as ``"flow/test"``."""
    with deployed(tmp_path_factory.mktemp("shared"), "") as shared:
        yield shared


@pytest.fixture(scope="session")
def stoker_on_postgres(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Iterator[Harness]:
    """The same with a Postgres database."""
    url = postgres_server.create_database()
    with deployed(tmp_path_factory.mktemp("shared"), url) as shared:
        yield shared


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest) -> Harness:
    """One of both: for what has to be tried on each database."""
    name = "stoker_on_postgres" if request.param == "postgres" else "stoker"
    return request.getfixturevalue(name)


@contextmanager
def deployed(home: Path, database_url: str) -> Iterator[Harness]:
    warm = WarmKnobs(min=1, max=1, slots_per_host=4)
    with harness(home, warm=warm, settings={"database_url": database_url}) as shared:
        for file in sorted(PROJECT.glob("*.py")):
            shared.deploy(file, project=PROJECT)
        yield shared


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate where flows wait for the test."""
    with Gate() as opened:
        yield opened
