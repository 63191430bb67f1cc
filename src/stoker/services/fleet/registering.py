"""The life of hosts and workers, as the server sees it."""

import hashlib
import hmac
from collections.abc import Callable, Collection, Sequence

from msgspec.structs import replace

from stoker.domain.errors import Conflict
from stoker.domain.hosts import Host, HostState, ProcessIdentity
from stoker.domain.leases import Lease
from stoker.domain.pools import Worker
from stoker.domain.states import StateType
from stoker.domain.transitions import Command, Wish
from stoker.ports.store import Records
from stoker.services.changing import change, crash_all
from stoker.services.concurrency import limiting
from stoker.services.events.happening import host_told, worker_told
from stoker.services.fleet.pool_health import look_at, workers_gone
from stoker.services.lookup import need_pool, need_queues
from stoker.services.runs import pausing
from stoker.services.runs.losing import lose
from stoker.services.unit import CancelOrder, ReadyHost, Unit


class NotYet(Conflict):
    """The host may try again soon: its worker has not said yet that it launched it."""


def register_worker(unit: Unit, worker: Worker, launched: Collection[str]) -> None:
    """Take in a worker; the living hosts that it launched are its own, whoever adopted them.

    Raises:
        NotFound: There is no such pool, or it has no such queue.
    """
    records = unit.records
    records.lock(f"pool:{worker.pool}")
    need_pool(records, worker.pool)
    need_queues(records, worker.pool, worker.queues)
    known = any(one.id == worker.id and not one.gone for one in records.workers(worker.pool))
    records.put_worker(worker)
    for host in records.hosts(worker.pool):
        if host.id in launched and host.worker_id != worker.id:
            _hand_over(unit, host, worker)
    if not known:
        worker_told(unit, worker, "started")
    look_at(unit, worker.pool)
    unit.demand.add(worker.pool)


def worker_seen(unit: Unit, worker: Worker) -> bool:
    """A worker is alive; False where it has another connection by now."""
    unit.records.lock(f"pool:{worker.pool}")
    stored = _worker(unit, worker)
    if stored is not None and stored.connection != worker.connection:
        return False
    unit.records.put_worker(replace(worker, last_seen=unit.now))
    return True


def worker_left(unit: Unit, worker: Worker) -> None:
    """A worker's connection is gone, and it has no other one yet."""
    unit.records.lock(f"pool:{worker.pool}")
    stored = _worker(unit, worker)
    if stored is not None and stored.connection == worker.connection:
        stored.server_id = ""
        unit.records.put_worker(stored)
        unit.demand.add(worker.pool)


def _worker(unit: Unit, worker: Worker) -> Worker | None:
    return next((one for one in unit.records.workers(worker.pool) if one.id == worker.id), None)


def drain_worker(unit: Unit, worker: Worker) -> None:
    """A worker leaves: its hosts drain, and what it has not launched is another's to launch.

    It asks its hosts itself; but it may not have heard yet which ones it has adopted.
    """
    unit.records.lock(f"pool:{worker.pool}")
    worker.draining = True
    unit.records.put_worker(worker)
    worker_told(unit, worker, "draining")
    look_at(unit, worker.pool)
    for host in unit.records.hosts(worker.pool):
        if host.worker_id != worker.id:
            continue
        if host.state is HostState.REQUESTED:
            lost(unit, host.id, "its worker left before it launched it")
        else:
            drain(unit, host.id, "its worker was asked to stop")
    unit.demand.add(worker.pool)


def adopt(unit: Unit, connected: Collection[str], is_gone: Callable[[Worker], bool]) -> None:
    """Give the hosts of workers that are gone to connected ones of the same machine.

    Hosts that they had not launched yet are given up, and so are workers without any host.

    Args:
        unit: The transaction.
        connected: Ids of connected workers.
        is_gone: Whether a worker that is not connected has certainly ended.
    """
    records = unit.records
    workers = records.workers()
    gone = {one.id for one in workers if one.id not in connected and is_gone(one)}
    present = {one.id for one in workers} - gone
    workers_gone(unit, [one for one in workers if one.id in gone])
    heirs = [one for one in workers if one.id in connected and not one.draining]
    needed: set[str] = set()
    for host in records.hosts():
        if not host.pool or host.worker_id in present:
            continue
        if host.process is None:
            lost(unit, host.id, "its worker ended before it launched it")
            continue
        alike = [one for one in heirs if one.pool == host.pool and _can_tell(one, host.process)]
        if alike:
            _hand_over(unit, host, alike[0])
        elif host.worker_id is not None:
            needed.add(host.worker_id)
    for worker_id in gone - needed:
        records.delete_worker(worker_id)


def _can_tell(worker: Worker, process: ProcessIdentity) -> bool:
    """Whether a worker can tell if a process lives: it is none of one that was before its boot."""
    machine = worker.machine
    return machine.shares_pids(process.machine) or machine.was_booted_since(process.machine)


def _hand_over(unit: Unit, host: Host, worker: Worker) -> None:
    host.worker_id = worker.id
    unit.records.put_host(host)
    unit.records.move_leases(host.id, worker.id)
    unit.demand.add(host.pool)


def _locked(unit: Unit, host_id: str) -> Host | None:
    """Read a host that is to be changed, under the lock of its pool."""
    host = unit.records.host(host_id)
    if host is None or not host.pool:
        return host
    unit.records.lock(f"pool:{host.pool}")
    return unit.records.host(host_id)


def launched(unit: Unit, host_id: str, process: ProcessIdentity, token_hash: str) -> None:
    """A worker has started a host's process."""
    host = _locked(unit, host_id)
    if host is None or host.state is HostState.DEAD:
        return
    host.process = process
    host.token_hash = token_hash
    host.launched = unit.now
    if host.state is HostState.REQUESTED:
        host.state = HostState.LAUNCHED
    unit.records.put_host(host)


def register_host(
    unit: Unit,
    host_id: str,
    token: str,
    process: ProcessIdentity,
    lease_until: float,
    connection: str = "",
) -> Host:
    """Take in a host that shows its join token, at its first or a later connection.

    Only on that connection it is given runs from now on.

    Raises:
        NotYet: Its worker has not said yet that it was launched.
        Conflict: It was not ordered, was given up, or shows another token.
    """
    host = _locked(unit, host_id)
    if host is None or host.state is HostState.DEAD:
        raise Conflict("this host was not ordered, or was given up")
    if not host.token_hash:
        raise NotYet("this host's worker has not reported it yet")
    if not _is_its_token(host, token):
        raise Conflict("wrong join token")
    host.process = process
    host.lease_until = lease_until
    host.connection = connection
    unit.connected.add((host_id, connection))
    unit.records.drop_zygotes(host_id)
    host.registered = host.registered or unit.now
    if host.state is not HostState.DRAINING:
        host.state = HostState.UP
        host.message = host.worn
    if not unit.records.leases_of(host_id):
        host.idle_since = unit.now
    unit.records.put_host(host)
    host_told(unit, host, "up")
    unit.demand.add(host.pool)
    return host


def _is_its_token(host: Host, token: str) -> bool:
    shown = hashlib.sha256(token.encode()).hexdigest()
    return hmac.compare_digest(shown, host.token_hash)


def outdated(unit: Unit, host_id: str, token: str, reason: str) -> bool:
    """A host speaks another version than the server: if it ever was up, it drains, unheard.

    Returns whether it does; one that has never been up is not wanted.
    """
    host = unit.records.host(host_id)
    if host is None or host.state is HostState.DEAD or host.registered is None:
        return False
    if not _is_its_token(host, token):
        return False
    drain(unit, host_id, reason)
    return True


def renew(unit: Unit, host_id: str, lease_until: float) -> bool:
    """A host is alive, and up again where it had been silent; False where it was given up."""
    if not unit.records.renew_host(host_id, lease_until):
        return False
    host = unit.records.host(host_id)
    if host is not None and host.state is HostState.UNREACHABLE:
        host = _locked(unit, host_id)
    if host is not None and host.state is HostState.UNREACHABLE:
        host.state = HostState.UP
        host.message = host.worn
        unit.records.put_host(host)
        unit.claimable.add(host.pool)
        unit.demand.add(host.pool)
    return True


def worn(unit: Unit, host_id: str, reason: str) -> None:
    """A host is to be replaced. It takes runs until its replacement is as warm."""
    host = _locked(unit, host_id)
    if host is None or host.worn or host.state in (HostState.DRAINING, HostState.DEAD):
        return
    host.worn = host.message = reason
    unit.records.put_host(host)
    unit.demand.add(host.pool)


def terms_taken(unit: Unit, host_id: str, fence_after: float) -> None:
    """A host goes by this ``fence_after`` now: it ends its runs by itself no later."""
    host = _locked(unit, host_id)
    if host is not None and host.fence_after != fence_after:
        host.fence_after = fence_after
        unit.records.put_host(host)


def ready_host(unit: Unit, host: Host) -> ReadyHost:
    """What claiming needs to know of a host."""
    return ReadyHost(
        id=host.id,
        pool=host.pool,
        lane=host.lane,
        queues=host.queues,
        slots=host.slots,
        requested=host.requested,
        launched=host.launched,
        registered=host.registered or unit.now,
        once=host.once,
        connection=host.connection,
    )


def compare(
    unit: Unit, host_id: str, connection: str, held: Sequence[tuple[str, int]]
) -> Host | None:
    """Take what a host has said on a connection that it holds; see `reconcile`.

    A server that stood still may act on it only after the host was given other runs on another
    connection: then it is of the past, changes nothing, and None is returned.
    """
    host = _locked(unit, host_id)
    if host is None or host.connection != connection:
        return None
    reconcile(unit, host_id, held)
    return unit.records.host(host_id)


def reconcile(unit: Unit, host_id: str, held: Sequence[tuple[str, int]]) -> None:
    """Compare what a host holds with what the store says it holds.

    What never reached it is queued again; what it lost has crashed; what is not current any more
    it has to end.
    """
    holding = set(held)
    for lease in _in_order(unit.records, host_id):
        if (lease.run_id, lease.attempt) in holding:
            holding.discard((lease.run_id, lease.attempt))
            _tell_again(unit, host_id, lease.run_id)
        else:
            _not_held(unit, lease.run_id, lease.attempt)
    for run_id, attempt in holding:
        unit.cancels.append(CancelOrder(host_id, run_id, attempt, now=True))


def _in_order(records: Records, host_id: str) -> list[Lease]:
    """A host's leases in one order for all: whoever changes their runs meets others in it."""
    return sorted(records.leases_of(host_id), key=lambda lease: lease.run_id)


def _tell_again(unit: Unit, host_id: str, run_id: str) -> None:
    run = unit.records.flow_run(run_id)
    if run is None:
        return
    if run.state.type is StateType.CANCELLING:
        unit.cancels.append(CancelOrder(host_id, run_id, run.attempt))
    else:
        pausing.tell_again(unit, run, host_id)


def _not_held(unit: Unit, run_id: str, attempt: int) -> None:
    run = unit.records.flow_run(run_id)
    if run is None:
        return
    if run.state.type is StateType.PENDING:
        release(unit, [(run_id, attempt)])
    else:
        lose(unit, run, "its host does not have it any more", attempt)


def release(unit: Unit, attempts: Sequence[tuple[str, int]], host_id: str | None = None) -> None:
    """Queue attempts again that never reached a child.

    Args:
        unit: The transaction.
        attempts: Run ids and attempts.
        host_id: The host that hands them back; others' runs are not its to give.
    """
    for run_id, attempt in attempts:
        run = unit.records.flow_run(run_id)
        if run is None or host_id not in (None, run.host_id):
            continue
        wish = Wish(
            command=Command.RELEASE, at=unit.now, attempt=attempt, message="handed back by its host"
        )
        rejected = change(unit, run, wish)
        if rejected is not None and run.state.type in (StateType.CANCELLING, StateType.PAUSED):
            change(unit, run, Wish(command=Command.CRASH, at=unit.now, attempt=attempt))


def drain(unit: Unit, host_id: str, reason: str) -> None:
    """A host takes no new run from now on."""
    host = _locked(unit, host_id)
    unit.draining.add(host_id)
    if host is None or host.state in (HostState.DEAD, HostState.DRAINING):
        return
    host.state = HostState.DRAINING
    host.message = reason
    unit.records.put_host(host)
    unit.demand.add(host.pool)


def lost(unit: Unit, host_id: str, reason: str) -> Host | None:
    """A host is proved dead: so are its runs. Returns it, unless that was known."""
    records = unit.records
    host = _locked(unit, host_id)
    if host is None or host.state is HostState.DEAD:
        return None
    records.drop_zygotes(host_id)
    host.state = HostState.DEAD
    host.ended = unit.now
    host.message = reason
    records.put_host(host)
    host_told(unit, host, "dead")
    for lease in _in_order(records, host_id):
        run = records.flow_run(lease.run_id)
        if run is not None:
            lose(unit, run, f"its host ended: {reason}", lease.attempt)
    limiting.script_ended(unit, host_id)
    crash_all(unit, records.open_runs_of(host_id), f"the process that ran it ended: {reason}")
    if host.pool:
        unit.demand.add(host.pool)
    return host
