"""A Stoker of its own for each test: they break it."""

from collections.abc import Iterator
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
