"""Which backend the present code reports to."""

import atexit
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

from stoker.domain.errors import Unavailable
from stoker.domain.reports import Report
from stoker.engine.context import CURRENT
from stoker.ports.backend import Backend

Used = TypeVar("Used", bound=Backend)


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

    def give_back(self, request_id: str) -> None:
        """There is nothing to give back."""

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
            _process.backend = open_backend()
            atexit.register(close)
        return _process.backend


def open_backend() -> Backend:
    """Open the backend of a server whose address is set; else that of a server within.

    Raises:
        StokerError: It cannot be opened.
    """
    from stoker.settings import load

    settings = load()
    # By name: what runs beside user code knows nothing of the server.
    module = import_module("stoker.client.backend" if settings.api_url else "stoker.embedded")
    return module.open_backend(settings)


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
