"""Concurrency limits."""

from stoker.client.calls.calling import Calls, part
from stoker.domain.concurrency import Limit, LimitKind
from stoker.wire.http import LimitCreate, LimitDetail, LimitUpdate


class LimitCalls(Calls):
    """Part of `stoker.client.http.Api`."""

    def create_limit(self, limit: LimitCreate) -> Limit:
        """Create a concurrency limit."""
        return self._call(Limit, "POST", "/api/concurrency-limits", limit)

    def limits(self, kind: LimitKind) -> list[LimitDetail]:
        """Return the limits of a kind and their use."""
        return self._call(list[LimitDetail], "GET", f"/api/concurrency-limits/{kind}")

    def limit(self, kind: LimitKind, name: str) -> LimitDetail:
        """Return a limit and its use."""
        return self._call(LimitDetail, "GET", _limit_path(kind, name))

    def update_limit(self, kind: LimitKind, name: str, update: LimitUpdate) -> Limit:
        """Change what ``update`` sets of a limit."""
        return self._call(Limit, "PATCH", _limit_path(kind, name), update)

    def delete_limit(self, kind: LimitKind, name: str) -> None:
        """Delete a limit."""
        self._send("DELETE", _limit_path(kind, name))


def _limit_path(kind: LimitKind, name: str) -> str:
    return f"/api/concurrency-limits/{kind}/{part(name)}"
