"""Which process plays which part."""

from typing import NamedTuple

from stoker.testing.chaos.cluster import Cluster
from stoker.testing.chaos.ledger import LedgerReader
from stoker.testing.processes import Process, table

KINDS = {"busy child": 6, "child": 2, "zygote": 4, "agent": 4, "worker": 3, "server": 2}
"""All parts that a process of Stoker can play, and how often each is a fault's victim."""


class Victims(NamedTuple):
    """The living processes by their part, and who is whose parent."""

    by_kind: dict[str, list[Process]]
    parents: dict[int, int]

    def below(self, pid: int) -> set[int]:
        """Pids of a process and all its descendants."""
        found = {pid}
        grown = True
        while grown:
            more = {child for child, parent in self.parents.items() if parent in found} - found
            found |= more
            grown = bool(more)
        return found


def victims(cluster: Cluster, ledger: LedgerReader) -> Victims:
    """Return who there is now."""
    known = table()
    parents = {pid: parent for pid, (_, parent) in known.items()}
    ledger.read()
    busy = ledger.executing()
    found: dict[str, list[Process]] = {kind: [] for kind in KINDS}
    for pid, (process, parent) in known.items():
        above = known[parent][0].command if parent in known else ""
        if "stoker.host.agent" in process.command:
            found["agent"].append(process)
        elif "stoker.host.zygote" in process.command and "stoker.host.agent" in above:
            found["zygote"].append(process)
        elif pid in busy and busy[pid].started == process.started:
            found["busy child"].append(process)
        elif "stoker.host.zygote" in above:
            found["child"].append(process)
    found["worker"] = [one for member in cluster.workers if (one := member.process)]
    found["server"] = [one for member in cluster.servers if (one := member.process)]
    return Victims(found, parents)
