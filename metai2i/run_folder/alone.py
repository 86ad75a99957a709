"""One at a time: whoever writes into a run's folder keeps all others out of it meanwhile."""

from __future__ import annotations

import hashlib
import os
from contextlib import AbstractContextManager
from pathlib import Path

from metai2i.data.places import real_path
from metai2i.errors import UserError
from metai2i.locks import locked


def alone_in(folder: Path, hint: str) -> AbstractContextManager[None]:
    """Keep other runs, and reports, out of a run's folder.

    Args:
        folder: of the run; what is above it is there.
        hint: what to do when another one is at work.

    Raises:
        UserError: when another one is at work, naming it; or when the lock cannot be written.
    """

    def refuse(who: str) -> None:
        raise UserError(f"another run ({who}) works in this folder", where=folder, hint=hint)

    home, stem = beside_run(real_path(folder))
    return locked(home / f".{stem}.lock", refuse, hint="name another folder", removed=True, where=folder)


def beside_run(folder: Path) -> tuple[Path, str]:
    """Return where files that belong to a run's folder, but not to the run, may be put, and how they are called.

    Args:
        folder: absolute, links followed; it need not be there.

    Returns:
        the folder above, on the same disk; or the folder itself, where it cannot change its name for another one's.
    """
    if folder.exists() and not _may_be_moved(folder):
        return folder, "run"
    encoded = os.fsencode(folder.name)
    return folder.parent, folder.name if len(encoded) <= 200 else hashlib.sha256(encoded).hexdigest()[:32]


def _may_be_moved(folder: Path) -> bool:
    above = folder.parent
    same_disk = folder.stat().st_dev == above.stat().st_dev and not os.path.ismount(folder)
    return same_disk and os.access(above, os.W_OK | os.X_OK)
