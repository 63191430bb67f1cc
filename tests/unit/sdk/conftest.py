"""What every test of the SDK gets."""

from collections.abc import Generator

import pytest

from stoker.testing.recording import RecordingBackend, recording


@pytest.fixture(autouse=True)
def backend() -> Generator[RecordingBackend]:
    """The backend of this process; it records what the flows of the test report."""
    with recording() as known:
        yield known
