"""The servers of a store, and which of them leads which loop."""

from typing import Protocol

from stoker.domain.servers import Server


class ServerRecords(Protocol):
    """Servers, within one transaction."""

    def time(self) -> float:
        """The database's own time, seconds since the epoch."""
        ...

    def leapt(self) -> float:
        """By how many seconds the store's clock has leapt since ever, as far as it was followed.

        See `stoker.services.replicas.leaps.follow`.
        """
        ...

    def put_leapt(self, seconds: float) -> None:
        """Note up to where leaps were followed."""
        ...

    def put_server(self, server: Server) -> None:
        """Register a server, or renew its lease; the rest of it never changes."""
        ...

    def servers(self) -> list[Server]:
        """All that have not left, oldest first; the lease of some may have lapsed."""
        ...

    def delete_server(self, server_id: str) -> None:
        """Forget a server, and what it leads."""
        ...

    def lead(self, name: str, server_id: str, now: float, lease: float) -> bool:
        """Take or keep the lead of a loop for ``lease`` seconds; False where another has it."""
        ...
