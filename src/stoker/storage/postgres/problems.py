"""What Postgres's errors mean for who meets them, and which are worth another try."""

import psycopg

from stoker.domain.database_urls import masked
from stoker.domain.errors import Unavailable

ADVICE = {
    "28P01": "the password is wrong; set the right one in STOKER_DATABASE_URL",
    "28000": "this user may not connect; see its pg_hba.conf and STOKER_DATABASE_URL",
    "3D000": "there is no such database; make it with `createdb`, or set STOKER_DATABASE_URL",
    "42501": "this user may not do that; make it the owner of the database or of its schema",
    "3F000": "there is no schema to write to; make one that the user's search_path names",
    "53100": "its disk is full; free some space there, and it goes on by itself",
    "53200": "it is out of memory",
    "53300": "it takes no more connections; raise max_connections, or run fewer servers",
    "25006": "it is read-only: a standby? Set STOKER_DATABASE_URL to the primary",
    "57P03": "it is starting up, or shutting down",
    "57P01": "it is shutting down",
    "42P01": "it has no tables of Stoker; run `stoker database upgrade`",
}
"""What is wrong, and what to do, by SQLSTATE:
https://www.postgresql.org/docs/current/errcodes-appendix.html"""

AGAIN = frozenset({"40001", "40P01", "55P03"})
"""Undone by Postgres in favour of another transaction: serialization failure, deadlock, lock."""

STALE_PLAN = "cached plan must not change result type"
"""Another server has added a column meanwhile: what was prepared before has to be again."""

RACE = frozenset({"23505"})
"""Somebody else was faster with a key that is unique: the work finds it at its second try."""


def unusable(url: str, what: str, error: Exception) -> Unavailable:
    """Return the error that says that a database cannot be used now, and why.

    Args:
        url: The database.
        what: What cannot be done with it: ``"opened"``, ``"read"`` or ``"written"``.
        error: What psycopg said.
    """
    advice = ADVICE.get(state_of(error)) or advice_of(str(error)) or _first_line(error)
    return Unavailable(f"the database {masked(url)} cannot be {what}: {advice}")


def state_of(error: Exception) -> str:
    """Return an error's SQLSTATE; empty where the server said none."""
    return (isinstance(error, psycopg.Error) and error.sqlstate) or ""


def advice_of(text: str) -> str:
    """What to do about errors that libpq words itself, without an SQLSTATE."""
    for part, advice in {**LASTING, **PASSING}.items():
        if part in text:
            return advice
    return ""


LASTING = {
    "password authentication failed": ADVICE["28P01"],
    "no password supplied": "it asks for a password; set one in STOKER_DATABASE_URL",
    'database "': ADVICE["3D000"],
    'role "': "there is no such user; make it with `createuser`, or set STOKER_DATABASE_URL",
    "no pg_hba.conf entry": ADVICE["28000"],
    "certificate verify failed": (
        "its certificate is not to be trusted; set sslrootcert in STOKER_DATABASE_URL"
    ),
    "does not match host name": (
        "its certificate is of another host; name that one in STOKER_DATABASE_URL"
    ),
    "server does not support SSL": (
        "it takes no TLS, and sslmode in STOKER_DATABASE_URL asks for it"
    ),
}
"""What libpq says, without an SQLSTATE, where nothing changes by itself."""

PASSING = {
    "the database system is": ADVICE["57P03"],
    "Connection refused": "nothing listens there; start Postgres, or set STOKER_DATABASE_URL",
    "could not translate host name": "there is no such host; set STOKER_DATABASE_URL",
    "failed to resolve host": "there is no such host or port; set STOKER_DATABASE_URL",
    "timeout expired": "it does not answer; see its address in STOKER_DATABASE_URL",
    "too many clients": ADVICE["53300"],
}
"""What libpq says where it may be a server that restarts."""


def may_pass(error: BaseException | None) -> bool:
    """Whether a connection that could not be opened may be opened soon."""
    return isinstance(error, psycopg.OperationalError) and not any(
        part in str(error) for part in LASTING
    )


def _first_line(error: Exception) -> str:
    """What libpq says about the last address that it tried."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def is_lost(error: Exception) -> bool:
    """Whether the connection is gone, so that nothing more is known of its transaction."""
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    # 57P01 to 57P05: ended by an administrator, a crash, a timeout; 08: what libpq has seen.
    return state_of(error)[:2] in {"", "08"} or state_of(error)[:4] == "57P0" or _is_idle(error)


def _is_idle(error: Exception) -> bool:
    return state_of(error) == "25P03"


def may_run_again(error: Exception) -> bool:
    """Whether the same work may pass at another try, on a connection opened anew if need be."""
    return state_of(error) in AGAIN or STALE_PLAN in str(error) or is_lost(error)
