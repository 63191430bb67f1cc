"""Pauses of flow runs."""

from enum import StrEnum

from msgspec import Struct

OUTSIDE = ""
"""Key of a pause that somebody else asked for: the run's processes stand still."""


class PauseEnd(StrEnum):
    """How a pause ended."""

    OPEN = "open"
    RESUMED = "resumed"
    EXPIRED = "expired"


class Pause(Struct, kw_only=True):
    """One pause of one flow run.

    Attributes:
        run_id: The run.
        key: Names it within the run; `OUTSIDE` where the run did not ask for it itself.
        end: Whether and how it has ended.
    """

    run_id: str
    key: str
    end: PauseEnd = PauseEnd.OPEN
