"""What there is, counted without a look at what is over."""

from collections import Counter

from stoker.domain.hosts import HostState
from stoker.ports.store import Census
from stoker.testing.memory.tables import Room


class CensusTaker(Room):
    """See `CensusRecords`."""

    def census(self) -> Census:
        tables = self._tables
        runs = Counter[str]({"SCHEDULED": 0})
        for run in tables.runs.values():
            if run.id in tables.leases or run.state.type == "SCHEDULED":
                runs[run.state.type.value] += 1
        queued = [run for run in tables.runs.values() if run.queued]
        living = [host for host in tables.hosts.values() if host.state is not HostState.DEAD]
        slots = [one for one in tables.slots.values() if one.drained is None]
        return Census(
            runs=dict(runs),
            queued=dict(Counter((run.pool or "", run.queue or "") for run in queued)),
            leases=dict(Counter((one.pool, one.queue) for one in tables.leases.values())),
            hosts=dict(Counter((host.pool, host.state.value) for host in living)),
            slots=dict(
                Counter(
                    (one.kind.value, one.name, "waiting" if one.acquired is None else "held")
                    for one in slots
                )
            ),
        )
