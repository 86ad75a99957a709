"""Files that the page hands over: their names and bytes in one body, kept in a folder of their own while it is open.

A body begins with a line of JSON, `[["NAME", SIZE], ...]`, and has the bytes of all files behind it. A name may
have one folder before it (`maps/a.png`), as the layouts of pairs have.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

from metai2i.errors import UserError, counted

MOST_BYTES = 2**28
"""Of one body."""
MOST_FILES = 200
_HEAD = 2**16
"""The longest first line."""
_PART = re.compile(r"[^/\\\x00-\x1f]{1,200}")


class Uploads:
    """The files that the page has handed over, a folder for each time.

    Args:
        root: an empty folder, which somebody else deletes.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._numbers = itertools.count(1)

    def keep(self, body: bytes) -> Path:
        """Write the files of a body into a new folder, and return it.

        Raises:
            UserError: when the body is not as the module says, or a name leads elsewhere.
        """
        folder = self.new_folder()
        for name, content in files_of(body).items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        return folder

    def new_folder(self) -> Path:
        """Return a new folder."""
        folder = self.root / str(next(self._numbers))
        folder.mkdir()
        return folder

    def folder(self, key: str) -> Path:
        """Return the folder that has been given the name `key`.

        Raises:
            UserError: when there is none.
        """
        folder = self.root / key
        if not key.isascii() or not key.isdecimal() or not folder.is_dir():
            raise UserError(f"there are no files of the number {key[:20]!r}", hint="choose them again")
        return folder

    def shown(self, message: str) -> str:
        """Return a message without the folders that the page does not know of."""
        return re.sub(rf"{re.escape(str(self.root))}/\d+(/|: )?", "", message)


def files_of(body: bytes) -> dict[str, bytes]:
    """Return the files of a body by their names.

    Raises:
        UserError: when it is not as the module says.
    """
    head, newline, _ = body[:_HEAD].partition(b"\n")
    try:
        listed = json.loads(head) if newline else None
    except (ValueError, RecursionError):
        listed = None
    if not isinstance(listed, list) or not all(map(_is_entry, listed)):
        raise UserError('expected a line [["NAME", SIZE], ...] and the bytes of these files')
    if not 0 < len(listed) <= MOST_FILES:
        raise UserError(f"got {counted(len(listed), 'file')}, expected from 1 to {MOST_FILES}")
    at, files = len(head) + 1, {}
    for name, size in listed:
        check_upload_name(name)
        if name in files:
            raise UserError(f"two files are called {name!r}")
        files[name] = body[at : at + size]
        at += size
    if at != len(body):
        raise UserError(f"the files should have {at - len(head) - 1:,} bytes, got {len(body) - len(head) - 1:,}")
    return files


def check_upload_name(name: str) -> None:
    """Refuse the name of a file that is none, or leads to another folder than one below.

    Raises:
        UserError: with the name.
    """
    parts = name.split("/")
    if len(parts) > 2 or not all(_PART.fullmatch(part) and part.strip(". ") for part in parts):
        raise UserError(f"no file may be called {name[:100]!r}", hint="expected NAME or FOLDER/NAME")


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == 2
        and isinstance(entry[0], str)
        and type(entry[1]) is int
        and 0 <= entry[1] <= MOST_BYTES
    )
