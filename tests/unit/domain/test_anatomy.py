"""What of a start was waiting, and what was the start."""

import pytest

from stoker.domain.anatomy import StartAnatomy


@pytest.mark.parametrize(
    ("stamps", "waited"),
    [
        ({"claimed": 1.0}, 0.0),
        ({"claimed": 61.0}, 60.0),
        ({"claimed": 5.0, "launch_requested": 1.5, "registered": 4.0}, 0.5),
        # The host was asked for by another run.
        ({"claimed": 5.0, "launch_requested": 0.5, "registered": 4.0}, 0.0),
        # Behind a paused pool no host is asked for.
        ({"claimed": 65.0, "launch_requested": 61.0, "registered": 64.0}, 60.0),
        ({}, None),
    ],
)
def test_a_start_begins_with_the_runs_turn(stamps, waited):
    assert StartAnatomy(submitted=1.0, first_line=70.0, **stamps).waited == waited
