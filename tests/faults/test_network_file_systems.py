"""A database on a file system that comes over a network is refused, in one line."""

import ctypes
import os
import struct
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from stoker.testing import Harness

REQUEST = struct.Struct("<IIQQIIII")
ANSWER = struct.Struct("<IiQ")
FORGET, GETATTR, STATFS, INIT, BATCH_FORGET = 2, 3, 17, 26, 42
NOT_IMPLEMENTED = -38
DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def mounted(folder: Path, kind: str) -> Generator[None]:
    """Mount a real FUSE file system of one empty folder while a test lasts.

    Args:
        folder: The folder; made if need be.
        kind: Its type in the table of mounts, for example ``"fuse.sshfs"``.

    Raises:
        OSError: This machine does not let one mount it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    try:
        options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
        _check(_libc.mount(b"test", os.fsencode(folder), kind.encode(), 0, options))
        server = threading.Thread(target=_serve, args=(device,), daemon=True)
        server.start()
        try:
            yield
        finally:
            _check(_libc.umount2(os.fsencode(folder), DETACH))
            server.join(10)
    finally:
        os.close(device)


def _check(result: int) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _serve(device: int) -> None:
    """Answer the kernel until it is unmounted; see fuse(4) and ``linux/fuse.h``."""
    with suppress(OSError):
        while True:
            _, number, unique, *_ = REQUEST.unpack_from(os.read(device, 1 << 18))
            if number in {FORGET, BATCH_FORGET}:
                continue
            body = {
                INIT: struct.pack("<IIIIHHIIHHI28x", 7, 31, 0, 0, 8, 8, 1 << 16, 1, 0, 0, 0),
                GETATTR: struct.pack("<QII48xIIIIIIIIII", 1, 0, 0, 0, 0, 0, 0o40755, 2, *[0] * 5),
                STATFS: struct.pack("<QQQQQIIII24x", 9, 9, 9, 9, 9, 4096, 255, 4096, 0),
            }.get(number, b"")
            error = 0 if body else NOT_IMPLEMENTED
            os.write(device, ANSWER.pack(ANSWER.size + len(body), error, unique) + body)


@pytest.fixture(params=["fuse.sshfs", "fuse.s3fs"])
def network(tmp_path: Path, request: pytest.FixtureRequest) -> Generator[Path]:
    """A folder on such a file system."""
    folder = tmp_path / "network"
    with mounted(folder, request.param):
        yield folder


SCRIPT = """
from stoker import flow

@flow
def hello() -> int:
    return 1

hello()
"""


def test_a_server_and_a_script_refuse_such_a_home(network: Path, tmp_path: Path) -> None:
    stoker = Harness(tmp_path / "other", environ={})
    environ = {"STOKER_HOME": str(network)}
    for arguments in (["-m", "stoker", "server", "start", "--port", "0"], ["-c", SCRIPT]):
        done = stoker.python(*arguments, environ=environ, check=False)
        assert done.returncode == 1
        *_, last = done.stderr.splitlines()
        assert f"{network}/stoker.db lies on a network file system (fuse." in last
        assert "set STOKER_HOME to a folder on a disk of this machine" in last


def test_what_counts_is_where_the_database_is(network: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    stoker = Harness(home)
    (home / "stoker.db").symlink_to(network / "stoker.db")
    done = stoker.cli("server", "start", "--port", "0", check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "lies on a network file system" in done.stderr


def test_a_local_disk_is_taken(tmp_path: Path) -> None:
    """The same file system, under a name that is no network's."""
    with mounted(tmp_path / "local", "fuse.bindfs"):
        done = Harness(tmp_path / "home").cli(
            "server",
            "start",
            "--port",
            "0",
            check=False,
            environ={"STOKER_HOME": str(tmp_path / "local")},
        )
    assert "network" not in done.stderr
    assert "Function not implemented" in done.stderr, "it is not really one"
