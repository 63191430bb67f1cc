"""How the end of a host's process is told."""

import signal

import pytest

from stoker.launchers.process import explain


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "it left"),
        (3, "it ended with exit code 3"),
        (-signal.SIGKILL, "it was killed by SIGKILL"),
        (-40, "it was killed by signal 40"),
    ],
)
def test_each_end_is_told(code: int, text: str) -> None:
    assert explain(code, None) == text
