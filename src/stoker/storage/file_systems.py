"""Which kind of file system a path lies on, and whether a database may lie there."""

import ctypes
import os
import re
from collections.abc import Callable
from pathlib import Path

from stoker.domain.errors import Unavailable

MAGICS = {
    0x6969: "nfs",
    0x517B: "smb",
    0xFE534D42: "smb2",
    0xFF534D42: "cifs",
    0x01021997: "9p",
    0x5346414F: "afs",
    0x6B414653: "afs",
    0x73757245: "coda",
    0x564C: "ncpfs",
    0x00C36400: "ceph",
    0x0BD00BD0: "lustre",
    0x47504653: "gpfs",
    0x7461636F: "ocfs2",
    0x01161970: "gfs2",
    0x19830326: "beegfs",
    0xAAD7AAEA: "panfs",
    0x20030528: "orangefs",
    0xBACBACBC: "vmhgfs",
    0x786F4256: "vboxsf",
    0xBEEFDEAD: "snfs",
    0x61636673: "acfs",
}
"""``f_type`` of statfs(2) of the file systems that several machines share, and their names.

From ``linux/magic.h`` and the table of coreutils' ``stat -f``."""

NAMES = frozenset(MAGICS.values()) | {
    *("nfs4", "smb3", "smbfs", "davfs", "glusterfs", "pvfs2", "mmfs", "fuse.glusterfs"),
    *("fuse.sshfs", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse", "fuse.goofys", "fuse.geesefs"),
    *("fuse.mount-s3", "fuse.mountpoint-s3", "fuse.blobfuse", "fuse.blobfuse2", "fuse.juicefs"),
    *("fuse.ceph", "fuse.ceph-fuse", "fuse.moosefs", "fuse.mfs", "fuse.seaweedfs", "fuse.weed"),
    *("fuse.davfs", "fuse.davfs2", "fuse.curlftpfs", "fuse.smbnetfs", "fuse.lizardfs", "fuse.hdfs"),
    *("fuse.vmhgfs-fuse", "fuse.alluxio", "fuse.cvmfs2", "fuse.afp", "fuse.afpfs"),
}
"""The same as the table of mounts calls them. What FUSE serves is told apart there alone."""

Probe = Callable[[Path], str]
"""Names the file system that a path lies on; see `kind_of`."""


def kind_of(path: Path) -> str:
    """Return the name of the file system that a path lies on, or would; empty where unknown."""
    # It may be a link to another place, or a mount of its own.
    place = os.path.realpath(path)
    there = place if os.path.exists(place) else os.path.dirname(place)
    return MAGICS.get(magic_of(Path(there))) or mounted_kind(Path(place))


def refuse_network(path: Path, probe: Probe = kind_of) -> None:
    """Raise `Unavailable` where a path lies on a file system that comes over a network.

    SQLite's locks and its shared memory do not hold there: https://sqlite.org/wal.html

    Args:
        path: The database, made already or not.
        probe: Names its file system.
    """
    kind = probe(path)
    if kind in NAMES:
        raise Unavailable(
            f"{path} lies on a network file system ({kind}), where SQLite's locks do not hold and "
            "a database gets damaged; set STOKER_HOME to a folder on a disk of this machine"
        )


def magic_of(path: Path) -> int:
    """Return ``f_type`` of statfs(2) of an existing path; 0 where the system does not say."""
    libc = ctypes.CDLL(None, use_errno=True)
    # Its first field is the type, a word long, on every 64-bit Linux; it is 120 bytes in all.
    buffer = (ctypes.c_long * 32)()
    if libc.statfs(os.fsencode(path), ctypes.byref(buffer)):
        return 0
    return buffer[0] & 0xFFFFFFFF


def mounted_kind(path: Path, table: str | None = None) -> str:
    """Return the type by which a path's file system is mounted; empty where unknown.

    Args:
        path: Any path; symbolic links are followed.
        table: The table of mounts, in the form of ``/proc/self/mountinfo``; that by default.
    """
    if table is None:
        try:
            table = Path("/proc/self/mountinfo").read_text()
        except OSError:
            return ""
    target = os.path.realpath(path)
    best, kind = "", ""
    for line in table.splitlines():
        # See proc_pid_mountinfo(5): optional fields end with a dash of its own.
        head, _, tail = line.partition(" - ")
        # Blanks and the like stand as octal escapes there: getmntent(3).
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), head.split(" ")[4])
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        # Of two mounts on one point the later one lies on top.
        if inside and len(point) >= len(best):
            best, kind = point, tail.split(" ")[0]
    return kind
