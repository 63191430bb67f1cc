"""What commands share: the server to talk to, options, and values given on the command line."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import click
import msgspec

from stoker import settings
from stoker.client.discovery import live_server
from stoker.client.http import Api
from stoker.domain.errors import Invalid, Unavailable
from stoker.settings import Settings

NUMBERS = {"ignore_unknown_options": True}
"""Settings of a command that takes a number: -1 is refused as one, and not as an option."""


def server_url(found: Settings) -> str:
    """Return the address of the server that is set, or that runs on this home.

    Raises:
        Unavailable: There is none.
    """
    url = found.api_url or live_server(found.home)
    if url is None:
        raise Unavailable(
            f"no server runs on {found.home}; start one with `stoker up`, "
            "or set STOKER_API_URL to one that runs elsewhere"
        )
    return url


def open_api() -> Api:
    """Return a client of the server that is set, or that runs on this home.

    Raises:
        Unavailable: There is none.
    """
    found = settings.load()
    return Api(server_url(found), found.api_key, found.request_timeout)


def values(pairs: tuple[str, ...], option: str) -> dict[str, Any]:
    """Read ``k=v`` options. A value that is JSON is taken as such, all else as text.

    Raises:
        BadParameter: There is no name, or no ``=``.

    Example:
        >>> values(("n=3", "name=ada"), "--param")
        {'n': 3, 'name': 'ada'}
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{pair!r} has not the form NAME=VALUE", param_hint=option)
        try:
            found[name] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            found[name] = text
    return found


def json_object(text: str | None, option: str) -> dict[str, Any]:
    """Read an option that is a JSON object.

    Raises:
        BadParameter: It is something else.
    """
    if text is None:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise click.BadParameter(f"is no JSON object: {error}", param_hint=option) from None


@contextmanager
def naming(options: dict[str, str]) -> Generator[None]:
    """Let errors that name fields of a request name the options that these came from.

    Args:
        options: Options by the fields' names.

    Raises:
        Invalid: The error that was raised inside.

    Example:
        >>> with naming({"anchor_date": "--anchor"}):
        ...     raise Invalid("anchor_date: is no date")
        Traceback (most recent call last):
        stoker.domain.errors.Invalid: --anchor: is no date
    """
    try:
        yield
    except Invalid as error:
        fields, colon, rest = str(error).partition(": ")
        # The field of a list's entry has its place before it: schedules.0.cron.
        names = [field.rpartition(".")[2] for field in fields.split(", ")]
        if not colon or not all(name in options for name in names):
            raise
        raise Invalid(f"{', '.join(options[name] for name in names)}: {rest}") from None
