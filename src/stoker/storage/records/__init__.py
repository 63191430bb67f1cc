"""The store's records, read and changed by named queries: one implementation for each database."""

from stoker.storage.records.automations import Automations
from stoker.storage.records.catalogue import Catalogue
from stoker.storage.records.census import CensusTaker
from stoker.storage.records.events import Events
from stoker.storage.records.leases import Leases
from stoker.storage.records.limits import Limits
from stoker.storage.records.pauses import Pauses
from stoker.storage.records.queues import Queues
from stoker.storage.records.retention import Retention
from stoker.storage.records.runs import Runs
from stoker.storage.records.schedules import Schedules
from stoker.storage.records.servers import Servers
from stoker.storage.records.traces import Traces


class SqlRecords(
    Runs,
    Traces,
    Queues,
    Leases,
    Limits,
    Catalogue,
    Schedules,
    Events,
    Automations,
    Servers,
    Retention,
    CensusTaker,
    Pauses,
):
    """`Records` over a session whose transaction somebody else begins and ends."""
