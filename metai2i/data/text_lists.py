"""Lists as texts, a thing in each line, as data sets come with them."""

from __future__ import annotations

from pathlib import Path

from metai2i.errors import Location, UserError
from metai2i.files import reason


def listed_lines(path: Path, what: str) -> list[tuple[Location, str]]:
    """Return the lines of a list, without the spaces around them, and where they stand.

    Empty lines and those that begin with # are passed over, and so is a byte order mark.

    Args:
        path: of a text in UTF-8.
        what: what is expected, in words.

    Raises:
        UserError: naming the file, when it cannot be read or has no line.
    """
    try:
        if not path.is_file():
            state = "is no ordinary file" if path.exists() else "is not there"
            raise UserError(f"{what} cannot be read: the file {state}", where=path)
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"this is not text in UTF-8, expected {what}", where=path) from None
    except OSError as error:
        raise UserError(f"{what} cannot be read: {reason(error)}", where=path) from None
    lines = [(Location(str(path), number), line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    kept = [(where, line) for where, line in lines if line and not line.startswith("#")]
    if not kept:
        raise UserError(f"there is no line in this file, expected {what}", where=path)
    return kept
