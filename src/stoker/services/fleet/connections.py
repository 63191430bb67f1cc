"""The hosts whose sockets this server holds: which may be given runs, and what they hold."""

from collections.abc import Iterable, Mapping

from stoker.domain.deployments import Code
from stoker.domain.hosts import HostZygote
from stoker.domain.jobs import Job
from stoker.ports.clock import Clock
from stoker.ports.links import HostLink
from stoker.services.unit import ReadyHost

FAILED = 64
"""Codes that a host could not import, which are remembered at the most; the newest ones."""

Attempt = tuple[str, int]


class Connections:
    """The open sockets, and of whoever has one what assignments go by."""

    def __init__(self, clock: Clock, ack_timeout: float) -> None:
        self._clock = clock
        self._ack_timeout = ack_timeout
        self._links: dict[str, HostLink] = {}
        self._connections: dict[str, str] = {}
        self._ready: dict[str, ReadyHost] = {}
        self._zygotes: dict[str, dict[str, HostZygote]] = {}
        self._unacknowledged: dict[str, dict[Attempt, float]] = {}

    @property
    def ready(self) -> Mapping[str, ReadyHost]:
        """The hosts that may be given runs, by id."""
        return self._ready

    @property
    def connected(self) -> list[str]:
        """Ids of the hosts whose sockets this server holds."""
        return list(self._links)

    def link_of(self, host_id: str) -> HostLink | None:
        """A host's socket, if this server holds it."""
        return self._links.get(host_id)

    def displaced(self, host_id: str, connection: str) -> None:
        """A host has another socket than the one that this server holds."""
        link = self._links.get(host_id)
        if link is not None and self._connections.get(host_id) != connection:
            self.disconnect(host_id, link)
            link.drop()

    def drain(self, host_id: str) -> None:
        """Give a host no run any more, and tell it, if this server holds its socket."""
        self._ready.pop(host_id, None)
        link = self._links.get(host_id)
        if link is not None:
            link.drain()

    # Hosts

    def connect(self, host_id: str, link: HostLink, connection: str = "") -> None:
        """A host's socket is open; before `add` it is given nothing."""
        self._links[host_id] = link
        self._connections[host_id] = connection
        self._ready.pop(host_id, None)
        self._zygotes.pop(host_id, None)
        self._unacknowledged.pop(host_id, None)

    def add(self, host: ReadyHost, link: HostLink) -> None:
        """A host may be given runs from now on, if this is still its socket."""
        if self._links.get(host.id) is link:
            self._ready[host.id] = host
            for zygote in self._zygotes.get(host.id, {}).values():
                host.note_zygote(zygote.key, ready=zygote.ready)

    def disconnect(self, host_id: str, link: HostLink) -> None:
        """A host's socket is gone."""
        if self._links.get(host_id) is link:
            del self._links[host_id]
            self._connections.pop(host_id, None)
            self._ready.pop(host_id, None)
            self._zygotes.pop(host_id, None)
            self._unacknowledged.pop(host_id, None)

    def acknowledged(self, host_id: str, attempts: Iterable[Attempt]) -> None:
        """A host has these assignments."""
        waiting = self._unacknowledged.get(host_id, {})
        for attempt in attempts:
            waiting.pop(attempt, None)

    def drop_deaf(self) -> None:
        """Close the sockets of hosts that do not acknowledge: when they are back, both compare."""
        now = self._clock.boot()
        for host_id, waiting in list(self._unacknowledged.items()):
            link = self._links.get(host_id)
            if link is not None and any(due < now for due in waiting.values()):
                self.disconnect(host_id, link)
                link.drop()

    def drop_all(self) -> None:
        """Close the sockets of all hosts: when they are back, both sides compare what they hold."""
        for host_id, link in list(self._links.items()):
            self.disconnect(host_id, link)
            link.drop()

    def zygote(self, zygote: HostZygote) -> list[str]:
        """A host holds a zygote now, or could not make it.

        Returns the keys of those that are not to be remembered any more.
        """
        if zygote.host_id not in self._links:
            return []
        host = self._ready.get(zygote.host_id)
        of_host = self._zygotes.setdefault(zygote.host_id, {})
        of_host.pop(zygote.key, None)
        of_host[zygote.key] = zygote
        # No host says of these that they are gone, and each run may have an environment of its own.
        forgotten = [one.key for one in of_host.values() if not one.ready][:-FAILED]
        for key in forgotten:
            del of_host[key]
            if host is not None:
                host.failed.discard(key)
        if host is not None:
            host.note_zygote(zygote.key, ready=zygote.ready)
        return forgotten

    def zygote_gone(self, host_id: str, key: str) -> None:
        """A host does not hold a zygote any more."""
        self._zygotes.get(host_id, {}).pop(key, None)
        host = self._ready.get(host_id)
        if host is not None:
            host.codes.discard(key)
            host.failed.discard(key)

    def warm(self, pool: str, lane: str, codes: list[Code]) -> None:
        """Tell a lane's hosts which zygotes they should hold."""
        for host in self._ready.values():
            if host.pool == pool and host.lane == lane:
                self._links[host.id].warm(codes)

    def use_up(self, host_id: str) -> None:
        """A host was given the one run that it takes."""
        self._ready.pop(host_id, None)

    def assign(self, host_id: str, jobs: list[Job]) -> bool:
        """Give a host its jobs; say whether it is there, and may have them."""
        link = self._links.get(host_id)
        if link is None or host_id not in self._ready:
            return False
        due = self._clock.boot() + self._ack_timeout
        attempts = [(job.run_id, job.attempt) for job in jobs]
        self._unacknowledged.setdefault(host_id, {}).update(dict.fromkeys(attempts, due))
        now = self._clock.now()
        for job in jobs:
            job.assigned = now
        link.assign(jobs)
        return True

    def move(self, by: float) -> None:
        """The store's clock has leapt, and its records were moved."""
        for host in self._ready.values():
            host.move(by)
