"""Who is told, after a commit, that there are new events, automations, or deliveries."""

from typing import Protocol

from stoker.services.unit import Unit


class Follower(Protocol):
    """A loop that has something to do when something was committed."""

    def committed(self, unit: Unit) -> None:
        """A unit of work was committed."""
        ...


class Followers:
    """Tells loops what was committed, here or by another server."""

    def __init__(self) -> None:
        self._all: tuple[Follower, ...] = ()

    def follow(self, *followers: Follower) -> None:
        """Tell these from now on."""
        self._all += followers

    def settle(self, unit: Unit) -> None:
        """A unit of work was committed."""
        if unit.events or unit.outbox or unit.automations:
            for follower in self._all:
                follower.committed(unit)
