"""A receiver of messages on loopback."""

from collections.abc import Iterator

import pytest

from stoker.testing.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()
