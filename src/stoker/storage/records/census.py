"""What there is, counted without a look at what is over."""

from collections import Counter

from stoker.ports.store import Census
from stoker.storage.records.hosts import Hosts


class CensusTaker(Hosts):
    """See `CensusRecords`."""

    def census(self) -> Census:
        found = Census()
        for state, pool, queue, count in self._all("census_active"):
            found.runs[state] = found.runs.get(state, 0) + count
            found.leases[pool, queue] = found.leases.get((pool, queue), 0) + count
        for pool, queue, count in self._all("census_queued"):
            found.queued[pool or "", queue or ""] = count
        later = self._one("census_later")[0]
        found.runs["SCHEDULED"] = sum(found.queued.values()) + later
        found.hosts = dict(Counter((host.pool, host.state.value) for host in self.hosts()))
        found.slots = {(kind, name, state): n for kind, name, state, n in self._all("census_slots")}
        return found
