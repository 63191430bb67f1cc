"""Work pools and their queues."""

from stoker.client.calls.calling import Calls, part
from stoker.domain.pools import WorkPool, WorkQueue
from stoker.wire.http import PoolCreate, PoolDetail, PoolUpdate, QueuePut


class PoolCalls(Calls):
    """Part of `stoker.client.http.Api`."""

    def create_pool(self, pool: PoolCreate) -> WorkPool:
        """Create a work pool."""
        return self._call(WorkPool, "POST", "/api/work-pools", pool)

    def pools(self) -> list[PoolDetail]:
        """Return all work pools and what they are doing."""
        return self._call(list[PoolDetail], "GET", "/api/work-pools")

    def pool(self, name: str) -> PoolDetail:
        """Return a work pool and what it is doing."""
        return self._call(PoolDetail, "GET", f"/api/work-pools/{part(name)}")

    def update_pool(self, name: str, update: PoolUpdate) -> WorkPool:
        """Change what ``update`` sets of a work pool."""
        return self._call(WorkPool, "PATCH", f"/api/work-pools/{part(name)}", update)

    def delete_pool(self, name: str) -> None:
        """Delete a work pool."""
        self._send("DELETE", f"/api/work-pools/{part(name)}")

    def put_queue(self, pool: str, name: str, queue: QueuePut) -> WorkQueue:
        """Create or replace a queue of a work pool."""
        path = f"/api/work-pools/{part(pool)}/queues/{part(name)}"
        return self._call(WorkQueue, "PUT", path, queue)
