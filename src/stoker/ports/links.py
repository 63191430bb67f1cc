"""What the services need of the sockets of hosts and workers."""

from collections.abc import Sequence
from typing import Protocol

from stoker.domain.deployments import Code
from stoker.domain.hosts import HostOrder
from stoker.domain.jobs import Job
from stoker.domain.pools import HostTerms


class HostLink(Protocol):
    """A host's open socket. Sending queues a message and returns at once."""

    def assign(self, jobs: Sequence[Job]) -> None:
        """Give it attempts to execute."""
        ...

    def cancel(
        self, run_id: str, attempt: int, *, now: bool, suspend: bool = False, failure: str = ""
    ) -> None:
        """Ask it to end an attempt: to cancel it, to suspend it, or to let it fail."""
        ...

    def stop_run(self, run_id: str, attempt: int, *, stop: bool) -> None:
        """Ask it to let an attempt stand still, or go on again."""
        ...

    def warm(self, codes: Sequence[Code]) -> None:
        """Tell it which zygotes it should hold."""
        ...

    def terms(self, terms: HostTerms) -> None:
        """Tell it what it goes by from now on."""
        ...

    def drain(self) -> None:
        """Tell it to leave when its last run has ended."""
        ...

    def drop(self) -> None:
        """Close the socket: the host connects again, and both sides say what they hold."""
        ...


class WorkerLink(Protocol):
    """A worker's open socket."""

    def orders(self, hosts: Sequence[HostOrder]) -> None:
        """Tell it all the hosts that it should have, whenever they change."""
        ...

    def end(self, host_id: str, reason: str) -> None:
        """Tell it to end a host at once, and to prove it dead for this reason."""
        ...
