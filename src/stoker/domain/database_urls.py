"""The addresses of databases: which kind, and how they are shown."""

import re

SQLITE = "sqlite:///"

POSTGRES = ("postgresql://", "postgres://")

_user = re.compile(r"^(\w+://[^:@/]*):.*@", re.DOTALL)
_option = re.compile(r"((?:^|[?&])(?:password|sslpassword|passfile)=)[^&]*")


def is_postgres(url: str) -> bool:
    """Whether a URL names a Postgres database.

    Example:
        >>> is_postgres("postgresql://db/stoker")
        True
    """
    return url.startswith(POSTGRES)


def masked(url: str) -> str:
    """Return a URL as it may be shown: without its password.

    Example:
        >>> masked("postgresql://me:secret@db:5432/stoker?sslmode=require")
        'postgresql://me:***@db:5432/stoker?sslmode=require'
    """
    return _option.sub(r"\1***", _user.sub(r"\1:***@", url))
