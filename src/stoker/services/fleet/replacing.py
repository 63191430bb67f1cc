"""Replacing worn hosts: a new host first, and the worn one goes when that one is as warm."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Protocol

from stoker.domain.hosts import Host, HostState

PATIENCE = 60.0
"""Seconds that a replacement gets to import what the worn host has imported."""


class Holder(Protocol):
    """Keys of the codes that a host has imported, and of those that it could not."""

    @property
    def codes(self) -> Set[str]: ...
    @property
    def failed(self) -> Set[str]: ...


@dataclass(frozen=True, slots=True)
class Warmth:
    """What is known of the zygotes of hosts.

    Attributes:
        ready: What hosts hold, by id.
        wanted: Keys of the codes that a lane's hosts should hold.
    """

    ready: Mapping[str, Holder]
    wanted: frozenset[str]


def pairs_of(hosts: Iterable[Host]) -> list[tuple[Host, Host]]:
    """Each worn host that is being replaced, and its replacement."""
    found = list(hosts)
    worn = {host.id: host for host in found if host.worn}
    return [(worn[one.replaces], one) for one in found if one.replaces in worn]


def may_go(worn: Host, replacement: Host, warmth: Warmth, now: float) -> bool:
    """Whether a worn host has nothing left that its replacement lacks."""
    if replacement.state is not HostState.UP or replacement.registered is None:
        return False
    if now >= replacement.registered + PATIENCE:
        return True
    theirs = warmth.ready.get(replacement.id)
    if theirs is None:
        return False
    own = warmth.ready.get(worn.id)
    codes = warmth.wanted if own is None else warmth.wanted & own.codes
    return codes <= theirs.codes | theirs.failed
