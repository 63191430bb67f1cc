"""``stoker work-queue``."""

import click
import msgspec

from stoker.cli.context import open_api
from stoker.cli.output import as_json, print_json, print_table
from stoker.client.http import Api
from stoker.domain.errors import Conflict, NotFound
from stoker.domain.pools import WorkQueue
from stoker.wire.http import QueuePut

in_pool = click.option("--pool", "-p", required=True, help="The queue's work pool.")
priority_option = click.option(
    "--priority", type=click.IntRange(min=1), help="1 is served first; 100 by default."
)
limit_option = click.option("--limit", type=click.IntRange(min=0), help="Runs at a time.")


@click.group()
def work_queue() -> None:
    """Create, change and show the queues of work pools."""


@work_queue.command()
@click.argument("name")
@in_pool
@priority_option
@limit_option
@as_json
def create(name: str, pool: str, priority: int | None, limit: int | None, as_json: bool) -> None:
    """Create the queue NAME."""
    with open_api() as api:
        if any(queue.name == name for queue in api.pool(pool).queues):
            raise Conflict(
                f"work pool {pool!r} has a queue {name!r} already; "
                "change it with `stoker work-queue set`"
            )
        put = QueuePut(priority=priority or 100, concurrency_limit=limit)
        queue = api.put_queue(pool, name, put)
    _say(queue, as_json, "is there")


@work_queue.command("set")
@click.argument("name")
@in_pool
@priority_option
@limit_option
@click.option("--no-limit", is_flag=True, help="Lift the limit.")
@as_json
def set_queue(
    name: str, pool: str, priority: int | None, limit: int | None, no_limit: bool, as_json: bool
) -> None:
    """Change priority or limit of the queue NAME; what is not given stays as it is."""
    if no_limit and limit is not None:
        raise click.UsageError("--limit and --no-limit exclude each other")
    if priority is None and limit is None and not no_limit:
        raise click.UsageError("nothing to change: give --priority, --limit or --no-limit")
    with open_api() as api:
        now = _find(api, pool, name)
        put = _as_put(now)
        if priority is not None:
            put.priority = priority
        if limit is not None or no_limit:
            put.concurrency_limit = limit
        queue = api.put_queue(pool, name, put)
    _say(queue, as_json, "is changed")


@work_queue.command()
@click.argument("name")
@in_pool
@as_json
def pause(name: str, pool: str, as_json: bool) -> None:
    """Let the queue NAME start no run; running ones go on."""
    _pause(name, pool, True, as_json)


@work_queue.command()
@click.argument("name")
@in_pool
@as_json
def resume(name: str, pool: str, as_json: bool) -> None:
    """Let the queue NAME start runs again."""
    _pause(name, pool, False, as_json)


@work_queue.command()
@click.option("--pool", "-p", help="Only the queues of this work pool.")
@as_json
def ls(pool: str | None, as_json: bool) -> None:
    """List work queues."""
    with open_api() as api:
        pools = [api.pool(pool)] if pool else api.pools()
    queues = [queue for found in pools for queue in found.queues]
    if as_json:
        print_json(queues)
        return
    print_table(
        ("Pool", "Queue", "Priority", "Status", "Limit"),
        [
            (q.pool, q.name, q.priority, "paused" if q.paused else "ready", q.concurrency_limit)
            for q in queues
        ],
        empty="No work queues.",
    )


def _pause(name: str, pool: str, paused: bool, as_json: bool) -> None:
    with open_api() as api:
        put = _as_put(_find(api, pool, name))
        put.paused = paused
        queue = api.put_queue(pool, name, put)
    _say(queue, as_json, "is paused" if paused else "starts runs again")


def _find(api: Api, pool: str, name: str) -> WorkQueue:
    queues = api.pool(pool).queues
    for queue in queues:
        if queue.name == name:
            return queue
    known = ", ".join(queue.name for queue in queues)
    raise NotFound(f"work pool {pool!r} has no queue {name!r}; it has: {known}")


def _as_put(queue: WorkQueue) -> QueuePut:
    return msgspec.convert(queue, QueuePut, from_attributes=True)


def _say(queue: WorkQueue, as_json: bool, outcome: str) -> None:
    if as_json:
        print_json(queue)
    else:
        click.echo(f"Queue {queue.name!r} of work pool {queue.pool!r} {outcome}.")
