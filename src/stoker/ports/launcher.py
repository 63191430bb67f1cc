"""What a worker needs of one kind of infrastructure."""

from collections.abc import Callable
from typing import Any, Protocol

from msgspec import Struct, field

from stoker.domain.hosts import ProcessIdentity


class HostConfig(Struct, kw_only=True):
    """What a host is told at its launch, over its standard input.

    Attributes:
        host_id: Its id.
        token: Its join token: proves to the server that it is the host that was ordered.
        api_url: The server.
        home: Folder for its spool and its runs' temporary folders.
        slots: Runs it takes at a time.
        once: Whether it takes one run, and leaves after it.
        fence_after: Seconds without an acknowledged heartbeat after which it ends its runs.
        grace: Seconds that runs get to end when the host is stopped.
        cancel_grace: Seconds that a run gets to end when it is cancelled or suspended.
        spool_limit: Bytes of reports that it keeps on disk while the server is away, about.
    """

    host_id: str
    token: str
    api_url: str
    home: str
    slots: int
    fence_after: float
    grace: float = 10.0
    spool_limit: int = 256_000_000
    once: bool = False
    cancel_grace: float = 3.0


class Launch(Struct, kw_only=True):
    """One host to launch.

    Attributes:
        config: For the host itself.
        infrastructure: The resolved job configuration, without what belongs to the code.
    """

    config: HostConfig
    infrastructure: dict[str, Any] = field(default_factory=dict[str, Any])


OnExit = Callable[[str, str], None]
"""Called with a host's id and a reason once it is proved dead."""


class Launcher(Protocol):
    """Starts hosts, proves them dead, stops them. It knows nothing of runs."""

    async def launch(self, launch: Launch) -> ProcessIdentity:
        """Start a host and watch it.

        Raises:
            OSError: It could not be started; the message says why.
        """
        ...

    def adopt(self, host_id: str, process: ProcessIdentity) -> None:
        """Watch a host that an earlier worker on this machine launched.

        Where it is dead already, ``on_exit`` is called soon.
        """
        ...

    async def stop(self, host_id: str, *, now: bool) -> None:
        """Ask a host to drain (SIGTERM), or end it (SIGKILL) where ``now`` is true."""
        ...

    async def close(self) -> None:
        """Stop watching. Hosts live on."""
        ...
