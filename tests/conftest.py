"""What every test gets."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from stoker.settings import load
from stoker.testing.postgres import PostgresServer, postgres

# A failure seen once is seen again, and a slow machine is no failure.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("local", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(autouse=True)
def stoker_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A STOKER_HOME of the test's own; no setting of the person who runs the tests counts."""
    for name in os.environ:
        if name.startswith("STOKER_"):
            monkeypatch.delenv(name)
    home = tmp_path / "stoker-home"
    monkeypatch.setenv("STOKER_HOME", str(home))
    load.cache_clear()
    return home


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The tests' Postgres, started for the first that asks. Without one on the machine it fails."""
    with postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database of the test's own."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url.rpartition("/")[2])
