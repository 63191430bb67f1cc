"""Servers of one store, and what they tell each other through it."""

from msgspec import Struct, field


class Server(Struct, kw_only=True):
    """A server, as it is registered.

    Attributes:
        id: UUIDv7, new at each start.
        address: Where it listens.
        version: Its Stoker's.
        started: When it came up, seconds since the epoch.
        lease_until: Until when its last heartbeat holds.
    """

    id: str
    address: str
    version: str
    started: float
    lease_until: float


class Launches(Struct, kw_only=True, omit_defaults=True):
    """How the launches of a lane go.

    Attributes:
        pool: The work pool.
        lane: The lane.
        failures: How many failed, one after the other, up to now.
        blocked_until: Until when no other is tried, seconds since the epoch.
        reason: Why the last one failed.
        starts: Seconds from the order to the registration of the last hosts.
    """

    pool: str
    lane: str
    failures: int = 0
    blocked_until: float = 0.0
    reason: str = ""
    starts: list[float] = field(default_factory=list[float])
