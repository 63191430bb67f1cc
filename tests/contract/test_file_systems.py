"""Which file systems a database may lie on."""

from pathlib import Path

import pytest

from stoker.domain.errors import Unavailable
from stoker.storage import file_systems
from stoker.storage.file_systems import kind_of, magic_of, mounted_kind, refuse_network

TABLE = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:40 / /home rw,relatime shared:5 master:1 - nfs4 server:/x rw,vers=4.2
24 23 0:41 / /home/me rw - tmpfs tmpfs rw
25 22 0:42 / /homestead rw - fuse.sshfs me@there: rw
26 22 0:43 / /with\\040blank rw - cifs //server/z rw
27 22 0:44 / /twice rw - nfs server:/y rw
28 22 0:45 / /twice rw - xfs /dev/vdb rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv", "ext4"),
        ("/home/you", "nfs4"),
        ("/home/me/here", "tmpfs"),
        ("/homestead", "fuse.sshfs"),
        ("/homesteads", "ext4"),
        ("/with blank/x", "cifs"),
        ("/twice/x", "xfs"),
    ],
)
def test_the_file_system_of_a_path_is_that_of_the_deepest_and_last_mount(path, kind):
    assert mounted_kind(Path(path), TABLE) == kind


@pytest.mark.parametrize("magic", file_systems.MAGICS)
def test_what_the_system_call_names_is_refused(tmp_path, monkeypatch, magic):
    monkeypatch.setattr(file_systems, "magic_of", lambda _: magic)
    with pytest.raises(Unavailable, match=rf"network file system \({file_systems.MAGICS[magic]}\)"):
        refuse_network(tmp_path / "stoker.db")


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "9p", "lustre", "fuse.sshfs", "fuse.s3fs"])
def test_what_the_table_of_mounts_names_is_refused(tmp_path, kind):
    with pytest.raises(Unavailable, match="where SQLite's locks do not hold"):
        refuse_network(tmp_path / "stoker.db", probe=lambda _: kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", ""])
def test_local_file_systems_are_taken(tmp_path, kind):
    refuse_network(tmp_path / "stoker.db", probe=lambda _: kind)


def test_a_link_is_followed_where_its_target_is_not_there_yet(tmp_path, monkeypatch):
    (tmp_path / "stoker.db").symlink_to("/proc/stoker.db")
    assert kind_of(tmp_path / "stoker.db") == "proc"


def test_the_system_call_is_read_right(tmp_path):
    assert magic_of(Path("/proc")) == 0x9FA0  # PROC_SUPER_MAGIC of linux/magic.h
    assert magic_of(tmp_path / "nothing") == 0
    assert kind_of(tmp_path) not in file_systems.NAMES
