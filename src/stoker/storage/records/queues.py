"""The queues of runs that wait for a slot, and of those that wait for their time."""

from collections.abc import Mapping, Sequence

from stoker.domain.runs import FlowRun
from stoker.domain.states import StateRecord, StateType
from stoker.ports.store import ClaimGroup, GroupCount, QueuedCount
from stoker.storage.records import rows
from stoker.storage.records.statements import Statements


class Queues(Statements):
    """See `QueueRecords`."""

    def queued(self, pool: str, queue: str, lane: str, limit: int) -> list[FlowRun]:
        return [rows.run_of(row) for row in self._all("queued", pool, queue, lane, limit)]

    def any_queued(self, pool: str) -> bool:
        return self._one("any_queued", pool) is not None

    def queued_counts(self, pool: str) -> list[QueuedCount]:
        return [QueuedCount(*row) for row in self._all("queued_counts", pool)]

    def queued_nested(self, pool: str, most: int) -> list[FlowRun]:
        return [self._run_of(row) for row in self._all("queued_nested", pool=pool, most=most)]

    def ask_for_claim(self, pool: str, hosts: Sequence[str], most: int) -> None:
        for query in ("pool", "queues", "usage"):
            self._ask(query, pool)
        self._ask("workers", pool=pool)
        for host_id in hosts:
            self._ask("host", host_id)
        self._ask("queued_nested", pool=pool, most=most)

    # Claim groups

    def ask_for_groups(
        self, pool: str, sizes: Mapping[tuple[str, str], int], after: tuple[float, str]
    ) -> None:
        for (queue, lane), size in sizes.items():
            self._ask("open_groups", pool, lane, queue, *after, size)

    def ask_for_first(self, group: ClaimGroup, limit: int) -> None:
        self._ask("first_of_group", group.pool, group.queue, group.lane, group.deployment_id, limit)
        self._ask("deployment", name=group.deployment_id)

    def open_groups(
        self, pool: str, lane: str, queue: str, after: tuple[float, str], limit: int
    ) -> list[ClaimGroup]:
        return [
            ClaimGroup(
                pool=pool,
                lane=lane,
                queue=queue,
                deployment_id=deployment_id,
                due=due,
                head=head,
                inserts=inserts,
                limit=most,
                used=used,
            )
            for deployment_id, due, head, inserts, most, used in self._all(
                "open_groups", pool, lane, queue, *after, limit
            )
        ]

    def first_of(self, group: ClaimGroup, limit: int) -> list[FlowRun]:
        found = self._all(
            "first_of_group", group.pool, group.queue, group.lane, group.deployment_id, limit
        )
        return [self._run_of(row) for row in found]

    def move_group(self, group: ClaimGroup, head: tuple[float, str] | None) -> None:
        place = (*_key(group), group.inserts)
        if head is None:
            self._do("drop_group", place)
        else:
            self._do("move_group", (*head, *place))

    def block_group(self, group: ClaimGroup) -> None:
        self._do("block_group", _key(group))

    def unblock(self, deployment_id: str) -> None:
        self._do("unblock_groups", (deployment_id,))

    def group_counts(self, pool: str, most: int) -> list[GroupCount]:
        return [
            GroupCount(
                queue=queue,
                lane=lane,
                deployment_id=deployment_id,
                runs=runs,
                room=None if limit is None else max(0, limit - used),
            )
            for queue, lane, deployment_id, runs, limit, used in self._all(
                "claimable_counts", pool=pool, most=most
            )
        ]

    def count_in(self, pool: str, count: GroupCount, most: int) -> int:
        place = (pool, count.queue, count.lane, count.deployment_id)
        return self._one("count_group", *place, most)[0]

    def queued_of(self, deployment_id: str, most: int) -> int:
        return self._one("queued_of_deployment", deployment_id, most)[0]

    def queued_lanes(self, pool: str) -> list[FlowRun]:
        found: list[FlowRun] = []
        for lane, queue, deployment_id in self._all("queued_lanes", pool):
            first = self._all("first_of_group", pool, queue, lane, deployment_id, 1)
            found += [rows.run_of(row) for row in first]
        return found

    def mark_late(
        self, sources: Sequence[StateType], before: float, state: StateRecord, limit: int
    ) -> list[FlowRun]:
        late: list[FlowRun] = []
        for source in sources:
            found = self._all(
                "mark_late",
                at=state.at,
                message=state.message,
                source=source,
                before=before,
                limit=limit,
            )
            late += [rows.run_of(row) for row in found]
        rows_of_states = [
            {
                "run_id": run.id,
                "version": run.version,
                "type": state.type,
                "name": state.name,
                "at": state.at,
                "message": state.message,
            }
            for run in late
        ]
        self._many("insert_state", rows_of_states)
        return late

    # Runs that are scheduled for later

    def promote(self, now: float) -> list[FlowRun]:
        promoted = [rows.run_of(row) for row in self._all("promote", now)]
        promoted.sort(key=lambda run: (run.due, run.id))
        for run in promoted:
            self._pending.note_run(run.id)
        return promoted

    def next_due(self) -> float | None:
        return self._one("next_due")[0]


def _key(group: ClaimGroup) -> tuple[str, str, str, str]:
    return (group.pool, group.lane, group.queue, group.deployment_id)
