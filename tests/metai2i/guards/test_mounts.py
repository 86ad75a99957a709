"""Whether locks reach other machines is read off how a disk is mounted."""

from __future__ import annotations

from pathlib import Path

import pytest

from metai2i.guards.mounts import Mount, mount_of

MOUNTS = r"""
/dev/vda / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
server:/home /home nfs4 rw,vers=4.2,local_lock=none 0 0
server:/old /home/old nfs rw,vers=3,nolock,local_lock=all 0 0
mds@tcp:/fs /scratch lustre rw,flock 0 0
mds@tcp:/fs2 /home/my\040disk lustre rw,localflock 0 0
a line that is cut
"""


@pytest.fixture
def mounts(tmp_path) -> Path:
    (tmp_path / "mounts").write_text(MOUNTS)
    return tmp_path / "mounts"


@pytest.mark.parametrize(
    ("path", "place", "kind"),
    [
        ("/srv/stages", "/", "ext4"),
        ("/home/ada/stages", "/home", "nfs4"),
        ("/home/old", "/home/old", "nfs"),
        ("/home/older", "/home", "nfs4"),
        ("/home/my disk/stages", "/home/my disk", "lustre"),
    ],
)
def test_a_folder_lies_on_the_innermost_mount(path, place, kind, mounts):
    mount = mount_of(Path(path), mounts)
    assert mount is not None
    assert (mount.place, mount.type) == (place, kind)


def test_a_mount_over_another_one_counts(mounts):
    mounts.write_text(MOUNTS + "tmpfs /home tmpfs rw 0 0\n")
    mount = mount_of(Path("/home/ada"), mounts)
    assert mount is not None
    assert mount.type == "tmpfs"


def test_a_system_without_such_a_list_has_no_mounts(tmp_path):
    assert mount_of(tmp_path, tmp_path / "none") is None


@pytest.mark.parametrize(
    ("kind", "options", "reach"),
    [
        ("ext4", "rw", True),
        ("tmpfs", "rw", True),
        ("nfs4", "rw,vers=4.2", True),
        ("nfs4", "rw,local_lock=posix", True),
        ("nfs4", "rw,local_lock=flock", False),
        ("nfs", "rw,vers=3,local_lock=none", True),
        ("nfs", "rw,nolock", False),
        ("lustre", "rw,flock", True),
        ("lustre", "rw,localflock", False),
        ("lustre", "rw,noflock", False),
        ("lustre", "rw", False),
        ("cifs", "rw,nobrl", False),
        ("cifs", "rw", True),
        ("ceph", "rw", True),
        ("beegfs", "rw", False),
        ("fuse.sshfs", "rw", False),
        ("fuse.glusterfs", "rw", True),
        ("virtiofs", "rw", False),
    ],
)
def test_locks_reach_other_machines_where_the_disk_takes_them_there(kind, options, reach):
    assert Mount("/x", kind, frozenset(options.split(","))).locks_reach_others == reach
