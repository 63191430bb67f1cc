"""Addresses of servers: several servers of one store stand for each other."""

import re
from collections.abc import Sequence

ADDRESS = r"https?://[^/\s,]+(/[^\s,]*)?"
"""One of them, as a regular expression."""

ADDRESSES = rf"^{ADDRESS}(\s*,\s*{ADDRESS})*,?$"
"""Some of them, comma separated."""


def addresses_of(text: str) -> list[str]:
    """Split comma separated addresses; each once, in their order.

    Example:
        >>> addresses_of("http://a:4200, http://b:4200/api")
        ['http://a:4200', 'http://b:4200']
    """
    found = (one.strip().rstrip("/").removesuffix("/api") for one in text.split(","))
    return list(dict.fromkeys(one for one in found if one))


def is_addresses(text: str) -> bool:
    """Whether a text is one address or more.

    Example:
        >>> is_addresses("http://a:4200,http://b:4200"), is_addresses("a:4200")
        (True, False)
    """
    return re.fullmatch(ADDRESSES, text) is not None


class Rotation:
    """Addresses in turn: who uses them stays with one that works.

    Args:
        addresses: At least one.

    Example:
        >>> rotation = Rotation(["http://a", "http://b"])
        >>> rotation.leave("http://a"), rotation.current
        (True, 'http://b')
        >>> rotation.leave("http://b"), rotation.current
        (False, 'http://a')
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = list(addresses)
        self._index = 0
        self._left = 0

    @property
    def current(self) -> str:
        """The address to use now."""
        return self.addresses[self._index]

    def works(self) -> None:
        """The current one answers: a round of looking for one is over."""
        self._left = 0

    def leave(self, failed: str) -> bool:
        """Go on to the next one, unless another caller has; False at the end of a round."""
        if failed == self.current:
            self._index = (self._index + 1) % len(self.addresses)
            self._left += 1
        if self._left >= len(self.addresses):
            self._left = 0
            return False
        return True


def sockets_of(text: str, path: str) -> list[str]:
    """Return the addresses of a WebSocket on each server.

    Example:
        >>> sockets_of("http://a:1,https://b", "/api/hosts/connect")
        ['ws://a:1/api/hosts/connect', 'wss://b/api/hosts/connect']
    """
    return [f"ws{one.removeprefix('http')}{path}" for one in addresses_of(text)]
