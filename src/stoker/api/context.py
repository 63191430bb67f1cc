"""What the endpoints work with; made by the composition root."""

from dataclasses import dataclass

from stoker.ports.clock import Clock
from stoker.services.concurrency.granting import Granter
from stoker.services.dispatcher import Dispatcher
from stoker.services.events.feed import EventFeed
from stoker.services.fleet.provisioner import Provisioner
from stoker.services.fleet.sweeper import Sweeper
from stoker.services.operations.metrics import Metrics
from stoker.services.operations.readiness import Readiness


@dataclass(frozen=True, slots=True)
class Context:
    """The server's services, and the settings that it tells hosts and workers.

    Attributes:
        dispatcher: Runs units of work.
        granter: Gives out slots of limits.
        metrics: What Prometheus is told.
        readiness: Whether the server can do its work.
        provisioner: Knows the workers.
        sweeper: Finds who is gone.
        feed: The live stream of events.
        clock: The time.
        version: Stoker's version.
        home: The server's folder.
        database: What its store is, for people.
        heartbeat: Seconds between heartbeats of hosts and workers.
        lease: Seconds that a heartbeat holds.
    """

    dispatcher: Dispatcher
    granter: Granter
    metrics: Metrics
    readiness: Readiness
    provisioner: Provisioner
    sweeper: Sweeper
    feed: EventFeed
    clock: Clock
    version: str
    home: str
    database: str
    heartbeat: float
    lease: float
