"""A home's lock: which server runs on it, and at which address."""

import fcntl
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from stoker.client.discovery import ServerFile
from stoker.domain.errors import Conflict, Unavailable
from stoker.process_identity import identify
from stoker.settings import Settings
from stoker.storage.sqlite.schema import make_home


@contextmanager
def without_server(settings: Settings) -> Generator[None]:
    """Keep servers from a home for the time of a ``with`` block.

    Raises:
        Conflict: One runs on it.
    """
    make_home(settings.home)
    with lock_home(settings.home, "server"):
        yield


@contextmanager
def lock_home(home: Path, name: str) -> Generator[Callable[[str], None]]:
    """Hold a lock of the home; yields what writes the server's address beside it."""
    lock, file = home / f"{name}.lock", home / f"{name}.json"
    handle = _open_lock(home, lock)
    try:

        def write(url: str) -> None:
            me = identify()
            record = ServerFile(url=url, pid=me.pid, started=me.started, boot_id=me.machine.boot_id)
            temporary = file.with_suffix(".tmp")
            try:
                temporary.write_bytes(msgspec.json.encode(record))
                temporary.rename(file)
            except OSError as error:
                temporary.unlink(missing_ok=True)
                raise _unwritable(home, error) from None

        try:
            yield write
        finally:
            file.unlink(missing_ok=True)
            lock.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _open_lock(home: Path, lock: Path) -> int:
    """Lock a home's file. The last server removed its own, maybe after this opened it."""
    while True:
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unwritable(home, error) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), os.stat(lock)):
                return handle
        except FileNotFoundError:
            pass
        except BlockingIOError:
            os.close(handle)
            raise Conflict(
                f"a server runs on {home} already; stop it first, or set STOKER_HOME to another "
                "folder"
            ) from None
        os.close(handle)


def _unwritable(home: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"STOKER_HOME {home} cannot be written: {error.strerror}; make room there, or set it to a "
        "folder that can"
    )
