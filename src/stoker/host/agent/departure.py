"""Whether a host still takes runs, and whether nothing keeps it any more."""


class Departure:
    """See the module.

    Args:
        once: Whether the host takes one run in its life.

    Attributes:
        draining: It was asked to take no new run.
        dismissed: The server knows that, and every earlier run is here.
    """

    def __init__(self, *, once: bool) -> None:
        self.draining = False
        self.dismissed = False
        self._once = once
        self._used = False

    def may_take(self) -> bool:
        """Whether the host takes one more run."""
        return not self.draining and not self._used

    def took_run(self) -> None:
        """It has taken a run."""
        self._used = self._once

    def is_due(self, *, connected: bool) -> bool:
        """Whether the host leaves once it has no run: none can be on its way here.

        One that is used once need not be told so: its server gives it no other.
        """
        return self._used or (self.draining and (self.dismissed or not connected))
