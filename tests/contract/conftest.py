"""The stores that must fulfil the contract. A new one is a further parameter of ``store``."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stoker.ports.store import Store
from stoker.storage.sqlite.store import SqliteStore


def open_sqlite(folder: Path) -> Store:
    return SqliteStore(folder / "stoker.db", synchronous="OFF")


OPENERS: dict[str, Callable[[Path], Store]] = {"sqlite": open_sqlite}
"""Opens a store in a folder: an empty one, or what another one of that folder has left."""


@pytest.fixture(params=OPENERS)
def opener(request: pytest.FixtureRequest) -> Callable[[Path], Store]:
    return OPENERS[request.param]


@pytest.fixture
def store(opener: Callable[[Path], Store], tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = opener(tmp_path)
    yield opened
    opened.close()
