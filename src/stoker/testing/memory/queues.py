"""The queues of runs that wait for a slot, and of those that wait for their time."""

from collections.abc import Mapping, Sequence

from stoker.domain.runs import FlowRun
from stoker.domain.states import StateRecord, StateType
from stoker.ports.store import ClaimGroup, GroupCount, QueuedCount
from stoker.testing.memory.tables import Group, GroupKey, Room, Tables, copies


def place(run: FlowRun) -> tuple[float, str]:
    """A run's place in its queue."""
    return (run.due, run.id)


def group_of(run: FlowRun) -> GroupKey:
    """The claim group of a run."""
    return (run.pool or "", run.lane or "", run.queue or "", run.deployment_id or "")


def enter(tables: Tables, run: FlowRun) -> None:
    """Note in its claim group that a run is queued."""
    key = group_of(run)
    known = tables.groups.get(key)
    if known is None:
        tables.groups[key] = Group(run.due, run.id)
        return
    due, head = min((known.due, known.head), place(run))
    tables.groups[key] = Group(due, head, known.blocked, known.inserts + 1)


class Queues(Room):
    """See `QueueRecords`."""

    def ask_for_claim(self, pool: str, hosts: Sequence[str], most: int) -> None:
        """Nothing is far away."""

    def ask_for_groups(
        self, pool: str, sizes: Mapping[tuple[str, str], int], after: tuple[float, str]
    ) -> None:
        """Nothing is far away."""

    def ask_for_first(self, group: ClaimGroup, limit: int) -> None:
        """Nothing is far away."""

    def _queued(self, *group: str) -> list[FlowRun]:
        """The queued runs of a pool, lane, queue and deployment, or of more: oldest first."""
        found = [
            run
            for run in self._tables.runs.values()
            if run.queued and group_of(run)[: len(group)] == group
        ]
        return sorted(found, key=place)

    def any_queued(self, pool: str) -> bool:
        return any(
            key[0] == pool and not group.blocked for key, group in self._tables.groups.items()
        )

    def queued(self, pool: str, queue: str, lane: str, limit: int) -> list[FlowRun]:
        return copies(self._queued(pool, lane, queue)[:limit])

    def queued_counts(self, pool: str) -> list[QueuedCount]:
        counts: dict[tuple[str, str], int] = {}
        for run in self._queued(pool):
            key = (run.queue or "", run.lane or "")
            counts[key] = counts.get(key, 0) + 1
        return [QueuedCount(queue, lane, runs) for (queue, lane), runs in sorted(counts.items())]

    def queued_nested(self, pool: str, most: int) -> list[FlowRun]:
        kinds: dict[tuple[str, str], list[str]] = {}
        for (waiter, child), wait in self._tables.waits.items():
            run = self._tables.runs.get(child)
            if run is not None and run.queued and run.pool == pool:
                kinds.setdefault((waiter, wait.kind), []).append(child)
        wanted = {child for children in kinds.values() for child in sorted(children)[:most]}
        return copies(run for run in self._queued(pool) if run.id in wanted)

    # Claim groups

    def _limits(self, deployment_id: str) -> tuple[int | None, int]:
        deployment = self._tables.deployments.get(deployment_id)
        limit = deployment.concurrency_limit if deployment is not None else None
        if limit is None:
            return None, 0
        return limit, sum(
            lease.deployment_id == deployment_id and lease.deployment_from is None
            for lease in self._tables.leases.values()
        )

    def _open(self, *prefix: str) -> list[tuple[GroupKey, Group]]:
        found = [
            (key, group)
            for key, group in self._tables.groups.items()
            if not group.blocked and key[: len(prefix)] == prefix
        ]
        return sorted(found, key=lambda one: (one[1].due, one[1].head))

    def open_groups(
        self, pool: str, lane: str, queue: str, after: tuple[float, str], limit: int
    ) -> list[ClaimGroup]:
        found: list[ClaimGroup] = []
        for key, group in self._open(pool, lane, queue):
            if (group.due, group.head) > after:
                most, used = self._limits(key[3])
                found.append(
                    ClaimGroup(
                        pool=pool,
                        lane=lane,
                        queue=queue,
                        deployment_id=key[3],
                        due=group.due,
                        head=group.head,
                        inserts=group.inserts,
                        limit=most,
                        used=used,
                    )
                )
        return found[:limit]

    def first_of(self, group: ClaimGroup, limit: int) -> list[FlowRun]:
        return copies(self._queued(*_key(group))[:limit])

    def move_group(self, group: ClaimGroup, head: tuple[float, str] | None) -> None:
        key = _key(group)
        known = self._tables.groups.get(key)
        if known is None or known.inserts != group.inserts:
            return
        if head is None:
            del self._tables.groups[key]
        else:
            self._tables.groups.change(key, due=head[0], head=head[1])

    def block_group(self, group: ClaimGroup) -> None:
        self._tables.groups.change(_key(group), blocked=True)

    def unblock(self, deployment_id: str) -> None:
        for key in list(self._tables.groups):
            if key[3] == deployment_id:
                self._tables.groups.change(key, blocked=False)

    def group_counts(self, pool: str, most: int) -> list[GroupCount]:
        counts: list[GroupCount] = []
        for key, _ in self._open(pool):
            limit, used = self._limits(key[3])
            counts.append(
                GroupCount(
                    queue=key[2],
                    lane=key[1],
                    deployment_id=key[3],
                    runs=min(most, len(self._queued(*key))),
                    room=None if limit is None else max(0, limit - used),
                )
            )
        return counts

    def count_in(self, pool: str, count: GroupCount, most: int) -> int:
        return min(most, len(self._queued(pool, count.lane, count.queue, count.deployment_id)))

    def queued_of(self, deployment_id: str, most: int) -> int:
        groups = [key for key in self._tables.groups if key[3] == deployment_id]
        return min(most, sum(len(self._queued(*key)) for key in groups))

    def queued_lanes(self, pool: str) -> list[FlowRun]:
        first: dict[str, FlowRun] = {}
        for key in sorted(self._tables.groups, key=lambda one: one[2:]):
            for run in self._queued(*key)[:1]:
                if key[0] == pool:
                    first.setdefault(key[1], run)
        return copies(first.values())

    def mark_late(
        self, sources: Sequence[StateType], before: float, state: StateRecord, limit: int
    ) -> list[FlowRun]:
        found = [
            run
            for run in sorted(self._tables.runs.values(), key=place)
            if run.queued and run.state.type in sources and run.state.name != state.name
        ]
        late = [run for run in found if run.due < before][:limit]
        for run in late:
            self._tables.runs.change(run.id, state=state, version=run.version + 1)
            self._tables.states.put((run.id, run.version + 1), state)
        return copies(self._tables.runs[run.id] for run in late)

    # Runs that are scheduled for later

    def _later(self) -> list[FlowRun]:
        found = [
            run
            for run in self._tables.runs.values()
            if run.state.type is StateType.SCHEDULED and not run.queued
        ]
        return sorted(found, key=place)

    def promote(self, now: float) -> list[FlowRun]:
        promoted: list[FlowRun] = []
        for run in self._later():
            if run.due <= now:
                self._tables.runs.change(run.id, queued=True)
                promoted.append(self._tables.runs[run.id])
        for run in promoted:
            enter(self._tables, run)
        return copies(promoted)

    def next_due(self) -> float | None:
        return next((run.due for run in self._later()), None)


def _key(group: ClaimGroup) -> GroupKey:
    return (group.pool, group.lane, group.queue, group.deployment_id)
