"""``stoker event``."""

import sys
from collections.abc import Callable
from typing import Any

import click

from stoker import settings
from stoker.cli.context import json_object, open_api, server_url
from stoker.cli.output import as_json, clock, print_json, print_table
from stoker.client.event_stream import follow
from stoker.domain.events import EmitEvent, Event, Resource

Filters = list[tuple[str, object]]


def filtering(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which events it is about."""
    for option in (
        click.option("--tag", "tags", multiple=True, help="A tag of its run. May be repeated."),
        click.option("--run", help="The id of the flow run that it concerns."),
        click.option("--pool", "-p", help="The work pool that it concerns."),
        click.option("--deployment", help="The deployment, FLOW/NAME, that it concerns."),
        click.option("--flow", help="The flow that it concerns."),
        click.option("--resource", help="The id of what it is about."),
        click.option("--kind", help="The kind of what it is about, for example flow-run."),
        click.option(
            "--event", "-e", "names", multiple=True, help="Its name, with *. May be repeated."
        ),
    ):
        command = option(command)
    return command


def _filters(names: tuple[str, ...], tags: tuple[str, ...], given: dict[str, Any]) -> Filters:
    filters: Filters = [("event", name) for name in names]
    filters += [("tag", tag) for tag in tags]
    return [*filters, *((name, value) for name, value in given.items() if value)]


@click.group()
def event() -> None:
    """Show, follow and emit events."""


@event.command()
@filtering
@click.option("--limit", type=click.IntRange(1, 1000), default=20, help="How many; 20 by default.")
@as_json
def ls(
    names: tuple[str, ...], tags: tuple[str, ...], limit: int, as_json: bool, **given: Any
) -> None:
    """List events, the newest first."""
    with open_api() as api:
        found = api.events(limit=limit, filters=_filters(names, tags, given)).events
    if as_json:
        print_json(found)
        return
    print_table(
        ("Id", "At", "Event", "Resource", "Message"),
        [(one.id, clock(one.at), one.event, _about(one), _said(one)) for one in found],
        empty="No events.",
    )


@event.command()
@filtering
@click.option(
    "--after", type=click.IntRange(min=0), help="Begin after this event; 0: at the first."
)
@click.option("--limit", type=click.IntRange(min=1), help="End after so many.")
@as_json
def stream(
    names: tuple[str, ...],
    tags: tuple[str, ...],
    after: int | None,
    limit: int | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Print events as they come, from now on, until Ctrl-C."""
    found = settings.load()
    filters = _filters(names, tags, given)
    seen = 0
    try:
        for one in follow(server_url(found), found.api_key, after=after, filters=filters):
            if as_json:
                print_json(one, indent=-1)
            else:
                click.echo(f"{one.id}  {clock(one.at)}  {one.event}  {_about(one)}  {_said(one)}")
            sys.stdout.flush()
            seen += 1
            if seen == limit:
                return
    except KeyboardInterrupt:
        sys.exit(130)


@event.command()
@click.argument("name")
@click.option("--resource", required=True, help="The id of what it is about.")
@click.option("--kind", default="custom", help="The kind of that; custom by default.")
@click.option("--payload", metavar="JSON", help="What else there is to say, a JSON object.")
@click.option("--tag", "tags", multiple=True, help="A label. May be repeated.")
@as_json
def emit(
    name: str,
    resource: str,
    kind: str,
    payload: str | None,
    tags: tuple[str, ...],
    as_json: bool,
) -> None:
    """Say that the event NAME has happened."""
    emitted = EmitEvent(
        event=name,
        resource=Resource(kind, resource),
        payload=json_object(payload, "--payload"),
        tags=list(tags),
    )
    with open_api() as api:
        stored = api.emit_event(emitted)
    if as_json:
        print_json(stored)
    else:
        click.echo(f"{stored.event} of {resource} is recorded.")


def _about(one: Event) -> str:
    return f"{one.resource.kind} {one.resource.name or one.resource.id}"


def _said(one: Event) -> str:
    return str(one.payload.get("message", ""))
