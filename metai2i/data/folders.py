"""Looking into folders of the user's, past what systems and programs leave behind in them.

Unpacking on a Mac makes `__MACOSX` and `._NAME`, network drives `@eaDir` and `#recycle`, a disk's own folders are
`lost+found` and `System Volume Information`, notebooks write `.ipynb_checkpoints`. None of it is the user's, so it is
never looked at; neither is anything else whose name begins with a dot.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from metai2i.errors import UserError

LEFT_BEHIND = frozenset(
    name.casefold()
    for name in (
        "__MACOSX", "Icon\r", "Network Trash Folder", "Temporary Items", "TheVolumeSettingsFolder",
        "@eaDir", "@Recycle", "@Recently-Snapshot", "#recycle", "#snapshot",
        "$RECYCLE.BIN", "System Volume Information", "Thumbs.db", "ehthumbs.db", "desktop.ini",
        "lost+found", "__pycache__",
    )
)  # fmt: skip
"""Names in any case; those that begin with a dot need not be listed."""


def is_left_behind(name: str) -> bool:
    """Return whether a file or folder of this name is a system's or a program's, not the user's."""
    return name.startswith(".") or name.casefold() in LEFT_BEHIND


def entries(folder: Path) -> list[Path]:
    """Return what lies right in a folder, by name; none for a folder that is not there.

    Raises:
        OSError: when it may not be read.
    """
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in names if not is_left_behind(name)]


def subfolders(folder: Path) -> list[Path]:
    """Return the folders right in a folder, by name, and links that lead nowhere: whose folder is gone is missed."""
    return [path for path in entries(folder) if path.is_dir() or is_broken_link(path)]


def is_broken_link(path: Path) -> bool:
    """Return whether a path is a link to what is not there, or to itself."""
    return path.is_symlink() and not path.exists()


def by_stem(folder: Path, endings: Sequence[str]) -> dict[str, list[Path]]:
    """Return the files right in a folder by their name without its ending: more than one where names differ in it.

    Links that lead nowhere are among them, for their reader to tell; folders are not.

    Args:
        folder: none are found in one that is not there.
        endings: which files, in lower case with the dot; any case is found.
    """
    files: dict[str, list[Path]] = {}
    for path in entries(folder):
        if path.suffix.lower() in endings and not path.is_dir():
            files.setdefault(path.stem, []).append(path)
    return files


def check_name(path: Path) -> None:
    """Refuse a name that cannot be written down.

    Raises:
        UserError: for one that is no UTF-8.
    """
    try:
        path.name.encode()
    except UnicodeEncodeError:
        raise UserError(
            f"the name {os.fsencode(path.name)!r} is no UTF-8",
            where=str(path.parent).encode(errors="backslashreplace").decode(),
            hint="rename it",
        ) from None


def refuse_twins(paths: Sequence[Path]) -> None:
    """Refuse files that have one name but for its ending, such as `a.jpg` and `a.jpeg`: nobody knows which is meant.

    Raises:
        UserError: when there is more than one.
    """
    if len(paths) > 1:
        names = " and ".join(path.name for path in paths)
        raise UserError(f"{names} have one name, expected one of them", where=paths[0])


def single_by_stem(folder: Path, endings: Sequence[str]) -> dict[str, Path]:
    """Return the files right in a folder by their names without ending.

    Raises:
        UserError: when two have one name but for the ending.
    """
    files = by_stem(folder, endings)
    for paths in files.values():
        refuse_twins(paths)
    return {name: paths[0] for name, paths in files.items()}
