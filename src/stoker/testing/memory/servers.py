"""The servers of a store, and which of them leads which loop."""

import time

from stoker.domain.servers import Server
from stoker.testing.memory.tables import Room, copies


class Servers(Room):
    """See `ServerRecords`."""

    def time(self) -> float:
        return time.time()

    def leapt(self) -> float:
        return self._tables.clock.get("leapt", 0.0)

    def put_leapt(self, seconds: float) -> None:
        self._tables.clock.put("leapt", seconds)

    def put_server(self, server: Server) -> None:
        if server.id in self._tables.servers:
            self._tables.servers.change(server.id, lease_until=server.lease_until)
        else:
            self._tables.servers.put(server.id, server)

    def servers(self) -> list[Server]:
        return copies(self._tables.servers[name] for name in sorted(self._tables.servers))

    def delete_server(self, server_id: str) -> None:
        for name, (leader, _) in list(self._tables.leaders.items()):
            if leader == server_id:
                del self._tables.leaders[name]
        self._tables.servers.pop(server_id, None)

    def lead(self, name: str, server_id: str, now: float, lease: float) -> bool:
        leader, until = self._tables.leaders.get(name, (server_id, now))
        if leader != server_id and now <= until <= now + 2 * lease:
            return False
        self._tables.leaders[name] = (server_id, now + lease)
        return True
