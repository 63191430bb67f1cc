"""The servers of a store, and which of them leads which loop."""

from stoker.domain.servers import Server
from stoker.storage.records.statements import Statements


class Servers(Statements):
    """See `ServerRecords`."""

    def time(self) -> float:
        return self._one("time")[0]

    def leapt(self) -> float:
        row = self._one("leapt")
        return row[0] if row else 0.0

    def put_leapt(self, seconds: float) -> None:
        self._do("put_leapt", (seconds,))

    def put_server(self, server: Server) -> None:
        values = (server.id, server.address, server.version, server.started, server.lease_until)
        self._do("put_server", values)

    def servers(self) -> list[Server]:
        return [
            Server(id=row[0], address=row[1], version=row[2], started=row[3], lease_until=row[4])
            for row in self._all("servers")
        ]

    def delete_server(self, server_id: str) -> None:
        self._do("stop_leading", (server_id,))
        self._do("delete_server", (server_id,))

    def lead(self, name: str, server_id: str, now: float, lease: float) -> bool:
        values = {
            "name": name,
            "server": server_id,
            "now": now,
            "until": now + lease,
            # A lease that holds for longer is of a time before the clock was set back.
            "latest": now + 2 * lease,
        }
        return self._do("lead", values).rowcount == 1
