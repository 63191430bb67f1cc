"""Which backend the present code reports to."""

import atexit
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar, cast

from stoker.domain.errors import Invalid, Unavailable
from stoker.domain.reports import Report
from stoker.engine.context import CURRENT
from stoker.ports.backend import Backend

Used = TypeVar("Used", bound=Backend)

KNOWN = {
    "http": "stoker.client.backend:open_backend",
    "embedded": "stoker.embedded:open_backend",
}
"""Backends by name; others come from packages that declare the entry point group."""

ENTRY_POINTS = "stoker.backends"


class NullBackend:
    """Records nothing; for tasks outside of any flow, and to warm an engine up."""

    def report(self, run_id: str, *reports: Report) -> None:
        """Forget it."""

    def flush(self) -> None:
        """There is nothing to flush."""

    def ask(self, request: Any) -> Any:
        """Refuse.

        Raises:
            Unavailable: Always.
        """
        raise Unavailable(f"there is no server to ask for {type(request).__name__}")

    def close(self) -> None:
        """There is nothing to close."""


NULL: Backend = NullBackend()


class _Process:
    """The backend of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.backend: Backend | None = None

    def reset(self) -> None:
        # A forked child must not use its parent's connections and threads.
        self.lock = threading.Lock()
        self.backend = None


_process = _Process()
os.register_at_fork(after_in_child=_process.reset)


def current() -> Backend:
    """Return the backend of the present run; outside of any, that of this process.

    That one is opened at its first use, and flushed and closed when the process ends.

    Raises:
        StokerError: It cannot be opened.
    """
    context = CURRENT.get()
    if context is not None and context.flow.id:
        return context.flow.backend
    backend = _process.backend
    if backend is not None:
        return backend
    with _process.lock:
        if _process.backend is None:
            from stoker.settings import load

            _process.backend = open_named("http" if load().api_url else "embedded")
            atexit.register(close)
        return _process.backend


def open_named(name: str) -> Backend:
    """Open a backend by its name.

    Raises:
        Invalid: There is none of that name.
        StokerError: It cannot be opened.
    """
    from stoker.settings import load

    target = KNOWN.get(name)
    if target is not None:
        module, _, attribute = target.partition(":")
        opener: Any = getattr(import_module(module), attribute)
    else:
        from importlib.metadata import entry_points

        found = list(entry_points(group=ENTRY_POINTS, name=name))
        if not found:
            raise Invalid(f"there is no backend {name!r}; known are: {', '.join(KNOWN)}")
        opener = found[0].load()
    return cast(Backend, opener(load()))


def close() -> None:
    """Flush and close this process's backend, if it was opened."""
    backend, _process.backend = _process.backend, None
    atexit.unregister(close)
    if backend is not None:
        backend.close()


@contextmanager
def use(backend: Used) -> Generator[Used]:
    """Make a backend this process's within the block; the caller closes it."""
    before, _process.backend = _process.backend, backend
    try:
        yield backend
    finally:
        _process.backend = before
