"""Folders of people that were prepared here: what in them is ours, and making place for others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from metai2i import UserError, locked, reason
from metai2i_faces.prepare.content import digest_of_files

OURS = re.compile(r"\d+\.(jpg|png)|landmarks\.npz")
"""The files that a preparation writes for a person."""


def alone(out: Path) -> AbstractContextManager[None]:
    """Hold a folder against other processes; the system lets go when this one dies.

    Args:
        out: the folder, which is there.

    Raises:
        UserError: when another process holds it, naming it; or when the lock cannot be written.
    """
    hint = "wait for it, or end it"

    def refuse(who: str) -> None:
        raise UserError(f"another call ({who}) is preparing this folder", where=out, hint=hint)

    return locked(out / ".lock", refuse, what="cannot write", hint="name another folder", removed=True)


def digest_of(folder: Path) -> str:
    """Return a digest of the files that were written for a person."""
    return digest_of_files(sorted(path for path in folder.iterdir() if OURS.fullmatch(path.name)))


def check_ours(folder: Path, digest: str | None) -> None:
    """Refuse a folder in which something is not as a preparation wrote it.

    Args:
        folder: of a person; it need not exist.
        digest: of its files as they were written; None where it is not known.

    Raises:
        UserError: when there are other files in it, or its own were changed.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    hint = "move the folder away to have this person made anew"
    if folder.is_symlink() or not folder.is_dir():
        raise UserError(
            "a person's folder should go here, but there is something that this command did not write",
            where=folder,
            hint=hint,
        )
    others = sorted(path.name for path in folder.iterdir() if not OURS.fullmatch(path.name) or path.is_dir())
    if others:
        raise UserError(
            f"this folder of a person holds {others[0]!r}, which this command did not write", where=folder, hint=hint
        )
    if digest is not None and digest_of(folder) != digest:
        raise UserError(
            "both this folder of a person and its source were changed since it was prepared", where=folder, hint=hint
        )


def remove(folders: Iterable[Path]) -> None:
    """Remove folders that have been checked, and nothing that came into them since.

    Raises:
        UserError: when the system refuses.
    """
    for folder in folders:
        try:
            for path in folder.iterdir() if folder.exists() else ():
                if OURS.fullmatch(path.name):
                    path.unlink()
            if folder.exists():
                folder.rmdir()
        except OSError as error:
            raise UserError(f"cannot remove what was prepared before: {reason(error)}", where=folder) from error
