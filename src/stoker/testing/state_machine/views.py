"""All that can be read of what the steps change."""

from collections.abc import Collection
from typing import Any, cast

from stoker.domain.runs import FlowRun
from stoker.domain.states import StateType
from stoker.ports.store import ClaimGroup, Records, RunFilter
from stoker.testing.state_machine.scene import HOSTS, POOLS

MANY = 1000
FILTERS = (
    RunFilter(limit=5),
    RunFilter(states=[StateType.SCHEDULED], limit=MANY),
    RunFilter(states=[StateType.RUNNING, StateType.PENDING], limit=3),
    RunFilter(deployment="f/limited", limit=MANY),
    RunFilter(pool="side", limit=MANY),
    RunFilter(flow="f", before="000030", limit=9),
)
"""Lists of runs, one of which is read after each step."""


def seen(records: Records, changed: Collection[str], step: int) -> dict[str, Any]:
    """Read everything; what there is one of for each run or deployment, of some in turn.

    Args:
        records: A view of the store.
        changed: The runs that have changed with the last step.
        step: How many steps were taken.
    """
    runs = records.flow_runs(RunFilter(limit=MANY))
    ids = [run.id for run in runs]
    deployments = sorted(records.deployments(), key=_id)
    waits = sorted(records.waits_for(ids))
    turn = {*ids[step % 7 :: 7]}
    tied = {one for wait in waits for one in wait} | turn
    return {
        "runs": runs,
        "some runs": records.flow_runs(FILTERS[step % len(FILTERS)]),
        "runs by id": sorted(records.flow_runs_of([*turn]), key=_id),
        "children": [records.flow_runs(RunFilter(parent=one, limit=MANY)) for one in ids[:1]],
        "states": {one: records.states(one) for one in sorted(turn.union(changed))},
        "waits": waits,
        "held": records.held_waits(),
        "lenders": {one: records.lenders(one) for one in sorted(tied)},
        "borrowers": {one: sorted(records.borrowers(one), key=repr) for one in sorted(tied)},
        "leases": {host: sorted(records.leases_of(host), key=repr) for host in HOSTS},
        "deployments": deployments,
        "uses": [records.deployment_use(one.id) for one in deployments],
        "waiting": [
            (records.queued_of(one.id, 3), sorted(records.shelved_runs(one.id), key=_id))
            for one in deployments[step % 3 :: 3]
        ],
        "pools": {pool: _of_pool(records, pool, step) for pool in POOLS},
        "due": (records.next_due(), records.next_overdue()),
        "census": records.census(),
        "hosts": [records.host(name) for name in HOSTS],
        "living": records.hosts(),
        "workers": records.workers(),
        "events": [_bare(one) for one in records.events_before(records.last_event() + 1, 10)],
    }


def _of_pool(records: Records, pool: str, step: int) -> dict[str, Any]:
    usage = records.usage(pool)
    queued = sorted(records.queued_counts(pool), key=repr)
    # Which groups there are without a run, and how much too early one begins, is a store's own.
    counts = [one for one in records.group_counts(pool, 4) if one.runs]
    groups = [(one, records.first_of(one, 3)) for one in open_groups(records, pool)]
    return {
        "pool": records.pool(pool),
        "queues": records.queues(pool),
        "usage": (usage.pool, usage.queues, usage.workers, usage.hosts),
        "counts": sorted(counts, key=repr),
        "counted": sorted((repr(one), records.count_in(pool, one, 9)) for one in counts),
        "queued": queued,
        "order": [records.queued(pool, one.queue, one.lane, MANY) for one in queued],
        "nested": records.queued_nested(pool, 1 + step % 3),
        "lanes": sorted(run.lane or "" for run in records.queued_lanes(pool)),
        "waiting": records.waiting_leases(pool),
        "groups": {_key(one): first for one, first in groups if first},
        "late heads": [one for one, first in groups if first and _begins_late(one, first[0])],
        "any": records.any_queued(pool) or not counts,
    }


def _key(group: ClaimGroup) -> tuple[str, ...]:
    return group.lane, group.queue, group.deployment_id, repr(group.limit), repr(group.used)


def _begins_late(group: ClaimGroup, first: FlowRun) -> bool:
    return (first.due, first.id) < (group.due, group.head)


def open_groups(records: Records, pool: str) -> list[ClaimGroup]:
    """A pool's claim groups that are not blocked, in pages of two."""
    found: list[ClaimGroup] = []
    pairs = {(one.lane, one.queue) for one in records.group_counts(pool, 1)}
    for lane, queue in sorted(pairs):
        page = records.open_groups(pool, lane, queue, (-1.0, ""), 2)
        while page:
            found += page
            last = page[-1]
            page = records.open_groups(pool, lane, queue, (last.due, last.head), 2)
    return found


def same_as(expected: object, found: object, where: str) -> None:
    """Raise `AssertionError` where two differ, with the place in them."""
    if expected == found:
        return
    parts, others = _parts(expected), _parts(found)
    if parts and parts.keys() == others.keys():
        for key, part in parts.items():
            same_as(part, others[key], f"{where}, {key}")
    raise AssertionError(f"{where}: expected {expected}, found {found}")


def _parts(whole: object) -> dict[object, object]:
    if isinstance(whole, dict):
        return cast("dict[object, object]", whole)
    return dict(enumerate(cast("list[object]", whole))) if isinstance(whole, list) else {}


def _id(one: Any) -> str:
    return one.id


def _bare(event: Any) -> tuple[Any, ...]:
    """An event without its number, which has gaps in Postgres."""
    return tuple(getattr(event, name) for name in event.__struct_fields__ if name != "id")
