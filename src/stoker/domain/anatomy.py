"""The start anatomy: when a run passed each hop between its submission and the user's code."""

from enum import StrEnum

from msgspec import Struct


class StartClass(StrEnum):
    """How warm a run found its slot.

    ``HOT``: a child was waiting. ``WARM``: a host had room, the code had to be imported.
    ``COLD``: the run waited for a host to be launched.
    """

    HOT = "hot"
    WARM = "warm"
    COLD = "cold"


class StartAnatomy(Struct, omit_defaults=True, kw_only=True):
    """Time stamps of one start, each in seconds since the epoch; None where it did not happen.

    Attributes:
        submitted: The server received the run.
        launch_requested: The server asked a worker for the host that took the run (cold only).
        launched: The worker had started that host (cold only).
        registered: That host had registered (cold only).
        claimed: The run was given its slot.
        assigned: The assignment went out over the host's socket.
        received: The host's agent had it.
        imported: The zygote had the code imported (warm and cold only).
        import_seconds: How long that import took.
        handed_over: The job was written into the child's pipe.
        first_line: The user's function was called.
        start_class: How warm the start was.
    """

    submitted: float | None = None
    launch_requested: float | None = None
    launched: float | None = None
    registered: float | None = None
    claimed: float | None = None
    assigned: float | None = None
    received: float | None = None
    imported: float | None = None
    import_seconds: float | None = None
    handed_over: float | None = None
    first_line: float | None = None
    start_class: StartClass | None = None

    @property
    def seconds(self) -> float | None:
        """From submission to the first line, in seconds."""
        if self.submitted is None or self.first_line is None:
            return None
        return self.first_line - self.submitted

    @property
    def waited(self) -> float | None:
        """Seconds of these that it waited for its turn: behind a limit, a pause, other runs.

        What it waited for a host that was launched for it belongs to its start.
        """
        if self.submitted is None or self.claimed is None:
            return None
        turn = self.claimed
        if self.registered is not None and self.launch_requested is not None:
            turn = min(turn, self.launch_requested)
        return max(0.0, turn - self.submitted)


def classify(anatomy: StartAnatomy) -> StartClass:
    """Say how warm a start was, from its stamps.

    Example:
        >>> classify(StartAnatomy(submitted=1.0, registered=2.0))
        <StartClass.COLD: 'cold'>
        >>> classify(StartAnatomy(submitted=1.0, imported=1.5))
        <StartClass.WARM: 'warm'>
    """
    if anatomy.registered is not None:
        return StartClass.COLD
    return StartClass.WARM if anatomy.imported is not None else StartClass.HOT
