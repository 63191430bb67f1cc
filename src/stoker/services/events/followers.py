"""Who is told, after a commit, that there are new events, automations, or deliveries."""

from collections.abc import Set as AbstractSet
from typing import Protocol


class Follower(Protocol):
    """A loop that has something to do when something was committed."""

    def stirred(self, names: AbstractSet[str]) -> None:
        """These have changed: ``"events"``, ``"automations"``, ``"outbox"``."""
        ...


class Followers:
    """Tells loops what was committed, here or by another server."""

    def __init__(self) -> None:
        self._all: tuple[Follower, ...] = ()

    def follow(self, *followers: Follower) -> None:
        """Tell these from now on."""
        self._all += followers

    def stir(self, names: AbstractSet[str]) -> None:
        """These have changed."""
        if names:
            for follower in self._all:
                follower.stirred(names)
