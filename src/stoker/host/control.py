"""The conversation of an agent and a zygote: one msgpack message per packet of a socket pair."""

import array
import socket

import msgspec
from msgspec import Struct

FD = 3
"""The zygote's descriptor of its end."""
MAX_PACKET = 128 * 1024
"""Bytes of a message at the most; what may be longer is cut or sent in parts."""


class FileStamp(Struct, array_like=True, frozen=True):
    """A project file as it was when it was read. ``mtime_ns`` is 0 where it was missing."""

    path: str
    mtime_ns: int
    ctime_ns: int
    size: int
    inode: int


# To the zygote.


class Setup(Struct, tag=True, array_like=True):
    """What to import, and where its children have their temporary folders.

    ``own_user``: whether they have user ids of their own, where that can be.
    """

    path: str
    file: str
    working_dir: str
    runner: str
    tmp: str
    own_user: bool = True


class Fork(Struct, tag=True, array_like=True):
    """Fork so many more children."""

    count: int


class Kill(Struct, tag=True, array_like=True):
    """Signal a child, or its whole process group. Only its parent is sure which one it is."""

    pid: int
    signal: int
    group: bool


class Retire(Struct, tag=True, array_like=True):
    """Fork no more, and leave when the last child has ended."""


class Fence(Struct, tag=True, array_like=True):
    """Kill all children and leave at this boot time, unless told a later one before."""

    at: float


ToZygote = Setup | Fork | Kill | Retire | Fence


# From the zygote.


class FilesRead(Struct, tag=True, array_like=True):
    """Project files that were loaded; sent before `Ready` and `ImportFailed`, in parts."""

    files: list[FileStamp]


class Ready(Struct, tag=True, array_like=True):
    """The code can be imported; with ``faults`` each child imports it for itself.

    ``faults`` says what of it no forked process could use.
    """

    import_seconds: float
    faults: list[str]


class ImportFailed(Struct, tag=True, array_like=True):
    """The code cannot be imported; the zygote leaves."""

    message: str
    traceback: str


class Forked(Struct, tag=True, array_like=True):
    """A child; with the descriptors of its socket, standard output and standard error."""

    pid: int


class Exited(Struct, tag=True, array_like=True):
    """Children that have ended: pid, and exit code or minus the number of the signal."""

    ended: list[tuple[int, int]]


FromZygote = FilesRead | Ready | ImportFailed | Forked | Exited

encode = msgspec.msgpack.Encoder().encode
"""Encode any message of this module."""


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a connection that keeps messages apart."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def receive(link: socket.socket) -> tuple[bytes, list[int]]:
    """Receive one message and its descriptors, which no other process shall inherit.

    (`socket.recv_fds` has no way to say that: it ignores its ``flags``.)

    Raises:
        OSError: See `socket.socket.recvmsg`.
    """
    fds = array.array("i")
    space = socket.CMSG_SPACE(3 * fds.itemsize)
    packet, extras, _, _ = link.recvmsg(MAX_PACKET, space, socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in extras:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(data)
    return packet, list(fds)
