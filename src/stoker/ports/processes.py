"""What the services need of this machine's processes."""

from typing import Protocol

from stoker.domain.hosts import ProcessIdentity


class Processes(Protocol):
    """Proof of life and death for processes of this machine."""

    def is_dead(self, process: ProcessIdentity) -> bool:
        """Whether the process is proved dead. False where this machine cannot tell."""
        ...
