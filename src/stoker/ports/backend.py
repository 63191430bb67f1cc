"""What the engine and the SDK need of whatever records their runs."""

from typing import Protocol, overload

from stoker.domain.deployments import Deployment
from stoker.domain.reports import Report
from stoker.domain.requests import (
    AcquireSlots,
    Answer,
    PutDeployment,
    Request,
    RunRequest,
    Slots,
)
from stoker.domain.runs import FlowRun


class Backend(Protocol):
    """Where a flow run reports to and asks.

    There are three: over the pipe of a deployed run's child (`stoker.host.child.pipe`), over HTTP
    (`stoker.client.backend`), and embedded in a script (`stoker.embedded`). All methods
    may be called from any thread, and block; nothing of them needs an event loop.
    """

    def report(self, run_id: str, *reports: Report) -> None:
        """Record what happened to a flow run, in order. Buffered: it costs no round trip."""
        ...

    def flush(self) -> None:
        """Return when everything reported so far is recorded for good."""
        ...

    @overload
    def ask(self, request: RunRequest) -> FlowRun: ...
    @overload
    def ask(self, request: PutDeployment) -> Deployment: ...
    @overload
    def ask(self, request: AcquireSlots) -> Slots: ...
    def ask(self, request: Request) -> Answer:
        """Send a request and return its answer.

        Raises:
            StokerError: As the server says: `NotFound`, `Invalid`, `Conflict`, `Unavailable`.
        """
        ...

    def give_back(self, request_id: str) -> None:
        """Give back the slots of an `AcquireSlots`, or its place among those that wait.

        Costs no round trip, and may be said of a request of which nothing is known.
        """
        ...

    def close(self) -> None:
        """Flush, and let go of connections and threads."""
        ...
