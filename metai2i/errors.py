"""What a user is told when something is wrong: one message, with its place, and exit code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Location:
    """Where in a file something stands; lines and columns count from 1."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


class UserError(Exception):
    """Something a user can put right. The command line prints it without a traceback and exits with 2.

    Args:
        what: one sentence that says what is wrong, with what was got and what was expected.
        where: the file (and line and column) it is about, if there is one.
        hint: what to do about it: the nearest name, the command to look further.
    """

    def __init__(self, what: str, *, where: Location | Path | str | None = None, hint: str | None = None) -> None:
        self.what = what
        self.where = where
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where is not None else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.what}{hint}"


class UserErrors(UserError):
    """Several errors of one file, told together."""

    def __init__(self, errors: Iterable[UserError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors))


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with what it counts.

    >>> counted(1, "pixel"), counted(1400, "pixel"), counted(0, "person", "people")
    ('1 pixel', '1,400 pixels', '0 people')
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def counted_are(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with what it counts and its verb.

    >>> counted_are(1, "pixel"), counted_are(2, "pixel")
    ('1 pixel is', '2 pixels are')
    """
    return f"{counted(number, noun, plural)} {'is' if number == 1 else 'are'}"


GOES_ON = "the same command goes on, without --afresh"
"""What to do about work that was stopped."""


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return the hint that names the nearest known name, or lists what there is.

    >>> did_you_mean("pix2pxi", ["pix2pix", "pg2"])
    "did you mean 'pix2pix'?"
    """
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(known)}" if known else None
