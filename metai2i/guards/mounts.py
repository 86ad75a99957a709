"""On what kind of disk a folder lies, and whether locks of its files reach other machines."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

_MOUNTS = Path("/proc/self/mounts")
_ACROSS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "ceph", "gfs2", "ocfs2", "fuse.ceph", "fuse.ceph-fuse", "fuse.glusterfs"}
)
"""Shared disks that take `flock` to their servers, unless they are mounted otherwise."""
_NOT_ACROSS = frozenset({"afs", "beegfs", "9p", "davfs", "gpfs", "orangefs", "prl_fs", "pvfs2", "vboxsf", "virtiofs"})
"""Shared disks that keep `flock` to the machine itself, or do so unless their servers are set up for it."""
_KEPT_TO_MACHINE = {
    "nfs": {"nolock", "local_lock=all", "local_lock=flock"},
    "nfs4": {"local_lock=all", "local_lock=flock"},
    "cifs": {"nobrl"},
    "smb3": {"nobrl"},
}  # fmt: skip
"""Options of a mount by which locks stay on the machine."""


class Mount(NamedTuple):
    """A mounted disk.

    Args:
        place: where it is mounted.
        type: of its file system: ext4, nfs4, lustre, …
        options: that it is mounted with.
    """

    place: str
    type: str
    options: frozenset[str]

    @property
    def locks_reach_others(self) -> bool:
        """Return whether `flock` on this machine is seen by every machine that sees the disk.

        It is for a disk that no other machine sees.
        """
        if self.type == "lustre":
            return "flock" in self.options
        if self.type in _ACROSS:
            return self.options.isdisjoint(_KEPT_TO_MACHINE.get(self.type, set()))
        return self.type not in _NOT_ACROSS and not self.type.startswith("fuse.")


def mount_of(path: Path, mounts: Path = _MOUNTS) -> Mount | None:
    """Return the disk that a file or folder lies on, or will lie on; None where the system has no such list.

    Args:
        mounts: the list, as Linux writes it.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    real, best = os.path.realpath(path), None
    for line in lines:  # a later one may lie over an earlier one
        words = line.split(" ")
        if len(words) < 4:
            continue
        place = _unescaped(words[1])
        if _holds(place, real) and (best is None or len(place) >= len(best.place)):
            best = Mount(place, words[2], frozenset(words[3].split(",")))
    return best


def _holds(place: str, path: str) -> bool:
    return path == place or path.startswith(place.rstrip("/") + "/")


def _unescaped(text: str) -> str:
    r"""Return a name of which blanks, tabs and line ends stand as `\040`."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
