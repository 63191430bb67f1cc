"""What ``stoker work-pool inspect`` prints of a work pool."""

import click
import msgspec

from stoker.cli.output import clock, print_fields, print_table
from stoker.domain.pools import WarmKnobs, WorkPool
from stoker.domain.templates import changed_defaults
from stoker.wire.http import PoolDetail


def status(found: PoolDetail) -> str:
    """Say in a word or two whether a pool starts runs."""
    if found.pool.paused:
        return "paused"
    return "ready" if found.workers else "no worker"


def show(found: PoolDetail) -> None:
    """Print a pool, its queues, workers and hosts, and which code of it is not safe to fork."""
    _show_settings(found)
    _show_queues(found)
    _show_workers(found)
    _show_hosts(found)
    for code in found.unsafe:
        names = ", ".join(code.deployments)
        click.echo()
        click.echo(f"{code.file} ({names}) is not safe to fork: its processes are spawned ahead,")
        click.echo("and import it each for itself. Starts stay hot, but cost more. It is for:")
        for fault in code.faults:
            click.echo(f"  {fault}")


def _show_settings(found: PoolDetail) -> None:
    pool, warm = found.pool, found.pool.warm
    slots = "1 slot" if warm.slots_per_host == 1 else f"{warm.slots_per_host} slots"
    defaults = _defaults(pool)
    print_fields(
        [
            ("Name", pool.name),
            ("Type", pool.type),
            ("Status", status(found)),
            ("Runs", f"{found.running} running, {found.queued} waiting"),
            ("Limit", "none" if pool.concurrency_limit is None else pool.concurrency_limit),
            ("Hosts", f"{warm.min} to {warm.max}, {slots} each"),
            ("Buffer", f"{warm.buffer} free slots while there is demand"),
            ("Idle", f"a host leaves after {warm.idle_timeout:g} s"),
            ("Replaced", _replaced(warm)),
            ("Fencing", f"after {pool.fence_after:g} s without a heartbeat"),
            *([("Defaults", defaults)] if defaults else []),
            ("Created", clock(pool.created)),
        ]
    )


def _defaults(pool: WorkPool) -> str:
    changed = changed_defaults(pool.type, pool.base_job_template)
    return ", ".join(f"{name}={msgspec.json.encode(one).decode()}" for name, one in changed.items())


def _replaced(warm: WarmKnobs) -> str:
    limits = (
        (warm.max_runs, "after {:g} runs"),
        (warm.max_age, "when {:g} s old"),
        (warm.max_memory_growth, "when grown by {:g} MB"),
    )
    parts = [text.format(limit) for limit, text in limits if limit is not None]
    return f"a host is replaced {', or '.join(parts)}" if parts else "hosts are not replaced"


def _show_queues(found: PoolDetail) -> None:
    click.echo()
    print_table(
        ("Queue", "Priority", "Status", "Limit"),
        [
            (q.name, q.priority, "paused" if q.paused else "ready", q.concurrency_limit)
            for q in found.queues
        ],
        empty="No queues.",
    )


def _show_workers(found: PoolDetail) -> None:
    click.echo()
    print_table(
        ("Worker", "Machine", "Queues", "Limit", "Status", "Last seen"),
        [
            (
                w.name,
                w.machine.name,
                ", ".join(w.queues) or "all",
                w.limit,
                "draining" if w.draining else "up",
                clock(w.last_seen),
            )
            for w in found.workers
        ],
        empty=f"No worker serves it. Start one: stoker worker start -p {found.pool.name}",
    )


def _show_hosts(found: PoolDetail) -> None:
    click.echo()
    print_table(
        ("Host", "State", "Slots", "Process", "Message"),
        [
            (
                host.id,
                host.state,
                "1, used once" if host.once else host.slots,
                host.process and host.process.pid,
                host.message,
            )
            for host in found.hosts
        ],
        empty="No hosts.",
    )
