"""The lists of a data set's splits: a name in each line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metai2i import Location, UserError
from metai2i.data import listed_lines
from metai2i_exemplars.records import Part

FILES: dict[Part, str] = {"train": "train.txt", "test": "val.txt"}
HELD_BACK = 15
"""Where there is no list, one scene in so many tests: 2,000 of CelebAMask-HQ's 30,000."""


@dataclass(frozen=True)
class Listed:
    """A name in a list, and where it stands; nowhere where it is not from a list."""

    name: str
    where: Location | None = None


def splits_of(
    root: Path, names: Sequence[str], understood: Callable[[str, Location], str], group: Callable[[str], str]
) -> dict[Part, list[Listed]]:
    """Return the names of each split, in the order of `train.txt` and `val.txt`.

    Without `train.txt` all train that `val.txt` does not have, without `val.txt` all test that `train.txt` does not
    have, and without both the last fifteenth of the groups tests.

    Args:
        root: where the lists lie.
        names: all that there are, in order.
        understood: makes a name of a line, and raises a `UserError` for what is none.
        group: what a name belongs to, that must not be in two splits where no list says so.

    Raises:
        UserError: naming file and line, for what is no name, and for one that stands twice.
    """
    lists = {part: read_names(root / file, understood) for part, file in FILES.items() if (root / file).exists()}
    _refuse_shared(lists)
    if not lists:
        groups = list(dict.fromkeys(group(name) for name in names))
        held = set(groups[len(groups) - max(1, len(groups) // HELD_BACK) :])
        return {
            "train": [Listed(name) for name in names if group(name) not in held],
            "test": [Listed(name) for name in names if group(name) in held],
        }
    taken = {each.name for listed in lists.values() for each in listed}
    rest = [Listed(name) for name in names if name not in taken]
    return {part: lists.get(part, rest) for part in FILES}


def read_names(path: Path, understood: Callable[[str, Location], str]) -> list[Listed]:
    """Return the names in a list; empty lines are passed over.

    Raises:
        UserError: naming file and line, when it cannot be read, has no line, or a name that stands twice.
    """
    seen: dict[str, Location] = {}
    listed = []
    for where, line in listed_lines(path, "a list of a name in each line"):
        name = understood(line, where)
        if name in seen:
            raise UserError(f"{line!r} stands in line {seen[name].line}, too", where=where)
        seen[name] = where
        listed.append(Listed(name, where))
    return listed


def _refuse_shared(lists: Mapping[Part, Sequence[Listed]]) -> None:
    """Refuse a name that two lists have."""
    trains = {each.name: each.where for each in lists.get("train", ())}
    for each in lists.get("test", ()):
        if each.name in trains:
            raise UserError(
                f"{each.name!r} trains and tests; the other list has it in {trains[each.name]}",
                where=each.where,
                hint="take it out of one of the two",
            )
