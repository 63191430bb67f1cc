"""The warm policy: how many hosts a lane wants, and which may leave."""

from msgspec import Struct
from msgspec.structs import replace

from stoker.domain.pools import WarmKnobs


class LaneDemand(Struct, kw_only=True, frozen=True):
    """What a lane has to do now.

    Attributes:
        busy: Slots in use.
        queued: Runs that wait and that no limit holds back.
        nested: Of the queued, those that a running run waits for.
    """

    busy: int = 0
    queued: int = 0
    nested: int = 0


def wanted_hosts(knobs: WarmKnobs, demand: LaneDemand) -> int:
    """Return the number of hosts that a lane should have, those in flight included.

    One host above ``max`` is allowed while a run that is waited for finds no slot, so that
    nested runs never starve.

    Example:
        >>> wanted_hosts(WarmKnobs(slots_per_host=4, max=10), LaneDemand(busy=3, queued=6))
        3
        >>> wanted_hosts(WarmKnobs(min=1), LaneDemand())
        1
    """
    slots = demand.busy + demand.queued
    if slots:
        slots += knobs.buffer
    hosts = -(-slots // knobs.slots_per_host)
    capped = max(knobs.min, min(hosts, knobs.max))
    if demand.nested and hosts > capped:
        return capped + 1
    return capped


def once_knobs(warm: WarmKnobs, *, deployed: bool) -> WarmKnobs:
    """Return a pool's knobs as they are for hosts that take one run each: ``max`` counts slots.

    As long as something is deployed on them a spare one is ready, or ``buffer`` of them.

    Example:
        >>> once_knobs(WarmKnobs(max=2, slots_per_host=8), deployed=True)  # doctest: +ELLIPSIS
        WarmKnobs(min=1, max=16, buffer=1, slots_per_host=1, ...)
    """
    most = warm.max * warm.slots_per_host
    spare = min(most, max(1, warm.buffer))
    return replace(
        warm,
        min=spare if deployed else 0,
        max=most,
        buffer=spare if deployed else warm.buffer,
        slots_per_host=1,
    )


class IdleHost(Struct, frozen=True):
    """A host without a run, since ``idle_since`` (seconds since the epoch)."""

    id: str
    idle_since: float
    worn: bool = False


def hosts_to_drain(
    knobs: WarmKnobs, demand: LaneDemand, present: int, idle: list[IdleHost], now: float
) -> list[str]:
    """Return the ids of the hosts that may leave: idle too long and above the wanted number.

    Worn ones leave first, then the longest idle.

    Example:
        >>> hosts_to_drain(WarmKnobs(idle_timeout=60), LaneDemand(), 1, [IdleHost("h", 0.0)], 61.0)
        ['h']
    """
    spare = present - wanted_hosts(knobs, demand)
    if spare <= 0:
        return []
    old = [host for host in idle if now - host.idle_since >= knobs.idle_timeout]
    old.sort(key=lambda host: (not host.worn, host.idle_since))
    return [host.id for host in old[:spare]]
