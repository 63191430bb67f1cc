"""One Stoker that the acceptance tests share: a server, a pool, a worker, deployed flows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stoker.domain.pools import WarmKnobs
from stoker.testing import Gate, Harness, harness

PROJECT = Path(__file__).parent / "project"


@pytest.fixture(scope="session")
def stoker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """A server and a worker, with every flow of the project deployed as ``"flow/test"``."""
    warm = WarmKnobs(min=1, max=1, slots_per_host=4)
    with harness(tmp_path_factory.mktemp("shared"), warm=warm) as shared:
        for file in sorted(PROJECT.glob("*.py")):
            shared.deploy(file, project=PROJECT)
        yield shared


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate where flows wait for the test."""
    with Gate() as opened:
        yield opened
