"""The databases that a benchmark can be run on."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager

DATABASES = ("sqlite", "postgres")


@contextmanager
def database(name: str) -> Generator[Mapping[str, object]]:
    """Provide an empty database; yields the settings of a server that uses it."""
    if name == "sqlite":
        yield {}
        return
    raise NotImplementedError(name)
