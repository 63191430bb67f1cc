"""Opening connections: what the URL says, and how values travel."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import psycopg
from psycopg.adapt import Buffer
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.numeric import FloatDumper, Int8Dumper
from psycopg.types.string import StrDumperUnknown, TextLoader

from stoker.domain.database_urls import masked
from stoker.domain.errors import Invalid, Unavailable
from stoker.storage.postgres.problems import unusable

Connection = psycopg.Connection[tuple[Any, ...]]

Limit = Callable[[Connection], AbstractContextManager[None]]

DEFAULTS: dict[str, Any] = {
    "application_name": "stoker",
    "connect_timeout": 10,
    # A server whose machine or network is gone is noticed in about this time, not in hours.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Options of libpq, where the URL sets none of that name."""

IDLE = 5
"""Seconds until Postgres ends a transaction whose server has stopped, so that others go on."""

LOCKED = 5
"""Seconds that a statement waits for a lock. Who holds one so long has stopped; see `Writer`."""

SETTINGS = (
    f"SET idle_in_transaction_session_timeout = {IDLE * 1000}; SET lock_timeout = {LOCKED * 1000}"
).encode()

SERVING = 0x53746F6B_65722121
"""The advisory lock that every server shares, and a restore wants for itself."""

NUL = "\x00"
STORED_NUL = "\ufdd0"
"""What a NUL character is stored as, since Postgres has none in texts and users' logs may: one of
the code points that are no characters, which Unicode leaves to the use within programs."""


class TextDumper(StrDumperUnknown):
    """Texts, whose type the query says."""

    def dump(self, obj: str) -> Buffer | None:
        """See `psycopg.adapt.Dumper.dump`."""
        return super().dump(obj.replace(NUL, STORED_NUL) if NUL in obj else obj)


class NulLoader(TextLoader):
    """Texts as they were before `TextDumper`."""

    def load(self, data: Buffer) -> bytes | str:
        """See `psycopg.adapt.Loader.load`."""
        text = super().load(data)
        if isinstance(text, str) and STORED_NUL in text:
            return text.replace(STORED_NUL, NUL)
        return text


def connect(url: str, limit: Limit = nullcontext) -> Connection:
    """Open a connection with Stoker's settings. It begins no transaction by itself.

    Args:
        url: The database.
        limit: Bounds how long a use of the connection may take.

    Raises:
        Invalid: The URL cannot be read, or names options that libpq does not know.
        Unavailable: The database cannot be opened.
    """
    try:
        missing = {name: DEFAULTS[name] for name in DEFAULTS.keys() - conninfo_to_dict(url).keys()}
        conninfo = make_conninfo(url, **missing)
    except psycopg.ProgrammingError:
        raise Invalid(
            "STOKER_DATABASE_URL cannot be read: write it as postgresql://USER:PASSWORD@HOST:PORT/"
            "DATABASE?sslmode=verify-full, with %-codes for special characters of the password"
        ) from None
    connection: Connection | None = None
    try:
        connection = psycopg.connect(conninfo, autocommit=True)
        with limit(connection):
            connection.execute(SETTINGS)
    except psycopg.Error as error:
        if connection is not None:
            connection.close()
        raise unusable(url, "opened", error) from error
    connection.prepared_max = 1000
    # One type for all numbers: each combination of types is prepared by itself.
    connection.adapters.register_dumper(int, Int8Dumper)
    connection.adapters.register_dumper(float, FloatDumper)
    connection.adapters.register_dumper(str, TextDumper)
    connection.adapters.register_loader("text", NulLoader)
    return connection


def need_version(connection: Connection, url: str) -> None:
    """Raise `Unavailable` where the server is older than what Stoker knows."""
    if connection.info.server_version < 15_00_00:
        number = connection.info.server_version // 10000
        raise Unavailable(
            f"the database {masked(url)} is served by Postgres {number}; Stoker needs 15 or newer"
        )
