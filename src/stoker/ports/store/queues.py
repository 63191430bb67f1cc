"""The queues of runs that wait for a slot, and of those that wait for their time."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from stoker.domain.runs import FlowRun
from stoker.domain.states import StateRecord, StateType


class QueuedCount(Struct, frozen=True):
    """How many runs wait in one queue for one lane."""

    queue: str
    lane: str
    runs: int


class ClaimGroup(Struct, frozen=True, kw_only=True):
    """Queued runs that a claim takes or skips as one: of a lane, a queue and a deployment.

    Attributes:
        pool: Their pool.
        lane: Their lane.
        queue: Their queue.
        deployment_id: Their deployment.
        due: When its oldest run was due, or earlier: its place among the groups.
        head: That run's id, or a smaller one.
        inserts: Grows with every run that enters it.
        limit: The deployment's concurrency limit.
        used: Keys of it that are in use; counted only where there is a limit.
    """

    pool: str
    lane: str
    queue: str
    deployment_id: str
    due: float
    head: str
    inserts: int
    limit: int | None
    used: int


class GroupCount(Struct, frozen=True, kw_only=True):
    """How many runs of a claim group wait, up to the number that was asked for.

    Attributes:
        queue: Their queue.
        lane: Their lane.
        deployment_id: Their deployment.
        runs: How many there are.
        room: How many of them the deployment's limit would let start; None for any number.
    """

    queue: str
    lane: str
    deployment_id: str
    runs: int
    room: int | None


class QueueRecords(Protocol):
    """Runs in queues, within one transaction.

    A run that enters its queue is noted in its claim group. Who changes groups otherwise holds the
    lock of their pool.
    """

    def queued(self, pool: str, queue: str, lane: str, limit: int) -> list[FlowRun]:
        """The first runs of one queue and lane, oldest first."""
        ...

    def any_queued(self, pool: str) -> bool:
        """Whether a run waits in any of a pool's groups that is not blocked."""
        ...

    def queued_counts(self, pool: str) -> list[QueuedCount]:
        """All queued runs. Reads every one of them: not for what is done often."""
        ...

    def queued_nested(self, pool: str, most: int) -> list[FlowRun]:
        """Queued runs that a running one waits for, oldest first.

        At the most so many of each waiter, queue, lane and deployment.
        """
        ...

    # Claim groups
    def ask_for_claim(self, pool: str, hosts: Sequence[str], most: int) -> None:
        """What a claim for these hosts begins with is read next: all that may be one round trip.

        Args:
            pool: The pool, whose lock is held.
            hosts: The hosts that are looked at one by one.
            most: How many nested runs of a kind are read.
        """
        ...

    def ask_for_groups(
        self, pool: str, sizes: Mapping[tuple[str, str], int], after: tuple[float, str]
    ) -> None:
        """So many open groups of these queues and lanes are read next, after this place."""
        ...

    def ask_for_first(self, group: ClaimGroup, limit: int) -> None:
        """A group's first runs are read next, and its deployment."""
        ...

    def open_groups(
        self, pool: str, lane: str, queue: str, after: tuple[float, str], limit: int
    ) -> list[ClaimGroup]:
        """The groups of a lane and queue that are not blocked, oldest first, after a place."""
        ...

    def first_of(self, group: ClaimGroup, limit: int) -> list[FlowRun]:
        """A group's first runs, oldest first."""
        ...

    def move_group(self, group: ClaimGroup, head: tuple[float, str] | None) -> None:
        """A group's oldest run is this one now; None: it has none.

        Nothing changes where runs have entered the group since it was read.
        """
        ...

    def block_group(self, group: ClaimGroup) -> None:
        """Its deployment's limit is full: it is skipped until one of its runs gives back a key."""
        ...

    def unblock(self, deployment_id: str) -> None:
        """A deployment may have room for more."""
        ...

    def group_counts(self, pool: str, most: int) -> list[GroupCount]:
        """Runs of the groups that are not blocked, each counted up to a number."""
        ...

    def count_in(self, pool: str, count: GroupCount, most: int) -> int:
        """Count the runs of one group again, up to another number."""
        ...

    def queued_of(self, deployment_id: str, most: int) -> int:
        """Queued runs of a deployment, counted up to a number."""
        ...

    def queued_lanes(self, pool: str) -> list[FlowRun]:
        """A queued run for each lane that has any."""
        ...

    def mark_late(
        self, sources: Sequence[StateType], before: float, state: StateRecord, limit: int
    ) -> list[FlowRun]:
        """Say of queued runs in one of these states that were due before a time that they are late.

        Each once. Returns them as they are then.
        """
        ...

    # Runs that are scheduled for later
    def promote(self, now: float) -> list[FlowRun]:
        """Put the runs into their queues that are due, and return them."""
        ...

    def next_due(self) -> float | None:
        """When the next run is due that is in no queue yet, seconds since the epoch."""
        ...
