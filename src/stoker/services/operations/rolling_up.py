"""Rolling up: each end of a run is counted in the sums of its hour, once."""

from collections.abc import Iterable

from stoker.domain.rollups import Rollup, RollupKey, key_of
from stoker.services.unit import Unit

LOCK = "rollups"
"""Held while sums are read and written: two servers may be at it."""


def roll_up(unit: Unit, run_ids: Iterable[str]) -> int:
    """Count the ends of runs that are not counted yet; returns how many.

    Noting them and counting them is one transaction: none is counted twice, whoever counts, and
    whatever ends in between.
    """
    records = unit.records
    records.lock(LOCK)
    sums: dict[RollupKey, Rollup] = {}
    counted = 0
    for run_id in run_ids:
        run = records.flow_run(run_id)
        if run is None or run.ended is None or not records.note_rolled(run):
            continue
        key = key_of(run)
        if key not in sums:
            hour, pool, deployment = key
            known = records.rollup(key)
            sums[key] = known or Rollup(hour=hour, pool=pool, deployment=deployment)
        sums[key].add(run)
        counted += 1
    records.put_rollups(list(sums.values()))
    return counted
