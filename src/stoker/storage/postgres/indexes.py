"""Indexes that migrations add to a database in use: built while others write."""

import re

import psycopg

from stoker.storage.postgres.connecting import Connection

_statement = re.compile(
    r"CREATE\s+(?P<unique>UNIQUE\s+)?INDEX\s+(?P<made>\w+)(?P<rest>\s+ON\b[^;]*);"
    r"|DROP\s+INDEX\s+(?P<dropped>\w+)\s*;"
)

VALID = """
SELECT c.relname, i.indisvalid FROM pg_class AS c JOIN pg_index AS i ON i.indexrelid = c.oid
JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = current_schema()
"""


def without(migration: str) -> str:
    """Return a migration without the indexes that it makes: `build` makes them afterwards.

    Example:
        >>> without("CREATE INDEX a ON t (x);ALTER TABLE t ADD y bigint;DROP INDEX b;")
        'ALTER TABLE t ADD y bigint;DROP INDEX IF EXISTS b;'
    """
    return _statement.sub(
        lambda found: "" if found["made"] else f"DROP INDEX IF EXISTS {found['dropped']};",
        migration,
    )


def wanted(migrations: list[str]) -> dict[str, str]:
    """Return, by their names, how to make the indexes that are there after all migrations.

    Example:
        >>> wanted(["CREATE INDEX a ON t (x);CREATE INDEX b ON t (y);", "DROP INDEX a;"])
        {'b': 'CREATE INDEX CONCURRENTLY b ON t (y)'}
    """
    found: dict[str, str] = {}
    for text in migrations:
        for one in _statement.finditer(text):
            if one["dropped"]:
                found.pop(one["dropped"], None)
            else:
                unique = "UNIQUE " if one["unique"] else ""
                made = f"CREATE {unique}INDEX CONCURRENTLY {one['made']}{one['rest']}"
                found[one["made"]] = made
    return found


def missing(connection: Connection, migrations: list[str]) -> list[str]:
    """Return the statements that make what is missing, or was left behind half built."""
    there = dict(connection.execute(VALID).fetchall())
    statements: list[str] = []
    for name, statement in wanted(migrations).items():
        if not there.get(name, False):
            if name in there:
                statements.append(f"DROP INDEX CONCURRENTLY {name}")
            statements.append(statement)
    return statements


def build(connection: Connection, migrations: list[str]) -> None:
    """Make the indexes that are missing; whoever writes meanwhile goes on.

    A build waits for transactions that have begun before, for however long these take, and keeps
    nobody waiting.
    """
    connection.execute("SET lock_timeout = 0")
    for _ in range(2):
        try:
            for statement in missing(connection, migrations):
                connection.execute(statement.encode())
            return
        except psycopg.errors.DeadlockDetected:
            # A server of before waits for this one to be done with the schema, and holds a snapshot
            # meanwhile, which the build waits for. What it has left is built anew.
            continue
    for statement in missing(connection, migrations):
        connection.execute(statement.encode())
