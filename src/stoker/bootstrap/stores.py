"""Which store the settings name, and how it is opened."""

import importlib
from pathlib import Path

from stoker.domain.database_urls import SQLITE, is_postgres, masked
from stoker.domain.errors import Unavailable
from stoker.ports.store import Store
from stoker.settings import Settings
from stoker.storage.sqlite.store import SqliteStore


def database_path(settings: Settings) -> Path:
    """Where the embedded store lies; a relative path is one in the home."""
    return settings.home / (settings.database_url.removeprefix(SQLITE) or "stoker.db")


def open_store(settings: Settings) -> Store:
    """Open the store that the settings name.

    Raises:
        Invalid: Its URL cannot be read.
        Unavailable: It cannot be opened, or psycopg is missing.
        Conflict: A newer Stoker wrote it.
    """
    if not is_postgres(settings.database_url):
        return SqliteStore(database_path(settings), synchronous=settings.sqlite_synchronous)
    need_psycopg()
    from stoker.storage.postgres.store import PostgresStore

    return PostgresStore(settings.database_url)


def need_psycopg() -> None:
    """Raise `Unavailable` where what speaks to Postgres is missing."""
    try:
        importlib.import_module("psycopg")
    except ImportError as error:
        raise Unavailable(
            f"STOKER_DATABASE_URL names a Postgres database, and psycopg cannot be loaded ({error})"
            ": run `pip install 'stoker[postgres]'`"
        ) from None


def database_name(settings: Settings) -> str:
    """Name the store for people, without its password."""
    if is_postgres(settings.database_url):
        return masked(settings.database_url)
    return f"{SQLITE}{database_path(settings)}"
