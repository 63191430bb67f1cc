"""``stoker automation``."""

import sys
import time
from pathlib import Path
from typing import Any, cast

import click
import msgspec

from stoker.cli.context import open_api
from stoker.cli.output import as_json, clock, print_fields, print_json, print_table
from stoker.client.http import Api
from stoker.domain.automation.actions import Action
from stoker.domain.automation.automations import Automation
from stoker.domain.automation.deliveries import Delivery, DeliveryState
from stoker.domain.errors import Invalid
from stoker.wire.automations import AutomationPut

WAIT = 30.0
"""Seconds in which a trial's actions are waited for."""


@click.group()
def automation() -> None:
    """Create, show and try automations."""


@automation.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Take the place of those that have their names.")
@as_json
def create(file: Path, replace: bool, as_json: bool) -> None:
    """Create the automations of FILE: YAML, JSON or TOML."""
    wanted = read_file(file)
    with open_api() as api:
        made = [
            api.create_automation(
                msgspec.convert(one, Automation, from_attributes=True), replace=replace
            )
            for one in wanted
        ]
    if as_json:
        print_json(made)
        return
    for one in made:
        click.echo(f"Automation {one.name!r} is there.")


@automation.command()
@as_json
def ls(as_json: bool) -> None:
    """List automations."""
    with open_api() as api:
        found = api.automations()
    if as_json:
        print_json(found)
        return
    print_table(
        ("Name", "Status", "Trigger", "Actions"),
        [
            (
                one.name,
                "active" if one.enabled else "paused",
                _trigger(one),
                ", ".join(_kind(action) for action in one.actions),
            )
            for one in found
        ],
        empty="No automations.",
    )


@automation.command()
@click.argument("name")
@as_json
def inspect(name: str, as_json: bool) -> None:
    """Show the automation NAME, without secrets, and what it did last."""
    with open_api() as api:
        detail = api.automation(name)
    if as_json:
        print_json(detail)
        return
    one = detail.automation
    suppressed = f"{one.suppressed}: {one.problem}" if one.suppressed else None
    print_fields(
        [
            ("Name", one.name),
            ("Id", one.id),
            ("Description", one.description or None),
            ("Status", "active" if one.enabled else "paused"),
            ("Trigger", _trigger(one)),
            ("Created", clock(one.created)),
            ("Suppressed", suppressed),
            *(("Action", msgspec.json.encode(action).decode()) for action in one.actions),
        ]
    )
    click.echo()
    _print_deliveries(detail.deliveries)


@automation.command()
@click.argument("name")
@as_json
def pause(name: str, as_json: bool) -> None:
    """Let the automation NAME not fire."""
    _enable(name, False, as_json)


@automation.command()
@click.argument("name")
@as_json
def resume(name: str, as_json: bool) -> None:
    """Let the automation NAME fire again."""
    _enable(name, True, as_json)


@automation.command()
@click.argument("name")
def delete(name: str) -> None:
    """Delete the automation NAME, and what it has still to do."""
    with open_api() as api:
        api.delete_automation(name)
    click.echo(f"Automation {name!r} is deleted.")


@automation.command()
@click.argument("name")
@click.option(
    "--event", type=click.IntRange(min=1), help="Fire for this event; else one is made up."
)
@as_json
def test(name: str, event: int | None, as_json: bool) -> None:
    """Have the automation NAME do, once, what it does; exit with 1 unless all of it is done."""
    with open_api() as api:
        ids = {one.id for one in api.try_automation(name, event)}
        found = _await(api, name, ids)
    if as_json:
        print_json(found)
    else:
        _print_deliveries(found)
    if any(one.state is not DeliveryState.DONE for one in found):
        sys.exit(1)


def read_file(file: Path) -> list[AutomationPut]:
    """Read the automations of a file: one, a list, or a list under ``automations``.

    Raises:
        Invalid: It cannot be read, or holds something else.
    """
    try:
        text = file.read_bytes()
        match file.suffix:
            case ".json":
                data = msgspec.json.decode(text)
            case ".toml":
                data = msgspec.toml.decode(text)
            case _:
                data = msgspec.yaml.decode(text)
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise Invalid(f"{file} cannot be read: {error}") from None
    if isinstance(data, dict) and "automations" in data:
        data = cast(dict[str, Any], data)["automations"]
    items: list[Any] = cast(list[Any], data) if isinstance(data, list) else [data]
    try:
        return msgspec.convert(items, list[AutomationPut])
    except msgspec.ValidationError as error:
        raise Invalid(f"{file}: {error}") from None


def _await(api: Api, name: str, ids: set[str]) -> list[Delivery]:
    """Poll until all of these are tried, or for `WAIT` seconds."""
    deadline = time.monotonic() + WAIT
    while True:
        found = [one for one in api.automation(name).deliveries if one.id in ids]
        if all(one.attempts and one.claimed_until == 0 for one in found):
            return found
        if time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def _enable(name: str, enabled: bool, as_json: bool) -> None:
    with open_api() as api:
        one = api.enable_automation(name, enabled)
    if as_json:
        print_json(one)
    else:
        click.echo(f"Automation {one.name!r} {'fires again' if enabled else 'is paused'}.")


def _print_deliveries(deliveries: list[Delivery]) -> None:
    print_table(
        ("At", "Event", "Action", "Status", "Attempts", "Outcome"),
        [
            (
                clock(one.firing.at),
                one.firing.event.event,
                _kind(one.action),
                one.state,
                one.attempts,
                one.error or one.outcome,
            )
            for one in deliveries
        ],
        empty="It has not fired yet.",
    )


def _trigger(one: Automation) -> str:
    trigger = one.event_trigger
    names = ", ".join(trigger.expect) or "*"
    count = f"{trigger.threshold} × " if trigger.threshold > 1 else ""
    within = f" within {trigger.within:g} s" if trigger.within else ""
    return f"{trigger.posture}: {count}{names}{within}"


def _kind(action: Action) -> str:
    return msgspec.to_builtins(action)["type"]
