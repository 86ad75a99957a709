"""Where people lie in a folder: which folders are people, in which split, and the pairs of each.

The layout, which `metai2i data faces` writes: `splits.json` with lists of folder names, such as
`{"train": ["p001"], "test": ["p002"]}`, and `p001/NAME.jpg` beside `p001/NAME.png`. Without a `splits.json` the folders
`train/`, `val/` and `test/` hold the people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TypeVar

from metai2i import UserError
from metai2i.errors import did_you_mean
from metai2i.files import by_stem, read_json

T = TypeVar("T")

FOLDERS = ("train", "val", "test", "cross_test")
"""The folders of people where there is no `splits.json`."""


@dataclass(frozen=True)
class Pair:
    """A photograph and its label map, as files; `photo` need not exist where only the map was found."""

    photo: Path
    labels: Path


@dataclass(frozen=True)
class People:
    """The splits of a folder.

    Args:
        root: the folder.
        splits: person folders by the name of their split, in order.
    """

    root: Path
    splits: Mapping[str, Sequence[Path]]

    def of(self, split: str) -> Sequence[Path]:
        """The people of a split that must be there.

        Raises:
            UserError: when there are none.
        """
        if not self.splits.get(split):
            have = ", ".join(f"{len(people)} {name}" for name, people in self.splits.items()) or "none"
            raise UserError(
                f"no {split} people here; it has {have}",
                where=self.root,
                hint=did_you_mean(split, [name for name, people in self.splits.items() if people]),
            )
        return self.splits[split]


def find_people(root: Path) -> People:
    """The people of a folder.

    Raises:
        UserError: when it is missing, has no splits, or a split lists a folder that is not there or in another split.
    """
    if not root.is_dir():
        raise UserError("no such folder, expected one with prepared faces", where=root, hint="tasks.root names it")
    listing = root / "splits.json"
    if listing.is_file():
        splits = _listed(listing)
    else:
        splits = {name: _people_in(root / name) for name in FOLDERS if (root / name).is_dir()}
        if not any(splits.values()):
            raise UserError(
                "no people here; looked for splits.json, and for folders of people in train/, val/ and test/",
                where=root,
                hint="`metai2i data faces` makes such a folder from videos",
            )
    for (one, people), (other, others) in combinations(splits.items(), 2):
        both = sorted(set(people) & set(others))
        if both:
            raise UserError(f"{both[0].name!r} is in {one!r} and in {other!r}", where=listing)
    return People(root, splits)


def _listed(listing: Path) -> dict[str, list[Path]]:
    content = read_json(listing)
    if not isinstance(content, dict):
        raise UserError("expected an object of lists of folder names", where=listing)
    splits = {}
    for split, names in content.items():
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            raise UserError(f"expected a list of folder names under {split!r}", where=listing)
        twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
        if twice is not None:
            raise UserError(f"{split!r} lists {twice!r} twice", where=listing)
        splits[split] = [listing.parent / name for name in names]
        missing = next((folder for folder in splits[split] if not folder.is_dir()), None)
        if missing is not None:
            raise UserError(f"{split!r} lists {missing.name!r}, but there is no folder {missing}", where=listing)
    return splits


def _people_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def pairs(person: Path) -> list[Pair]:
    """All pairs of a person by name, and single photographs and maps as pairs of which one file does not exist.

    Raises:
        UserError: when two photographs or two maps have one name.
    """
    files = [path for path in person.iterdir() if not path.name.startswith(".")]
    photos = by_stem(path for path in files if path.suffix.lower() in (".jpg", ".jpeg"))
    maps = by_stem(path for path in files if path.suffix.lower() == ".png")
    return [
        Pair(photos.get(name, person / f"{name}.jpg"), maps.get(name, person / f"{name}.png"))
        for name in sorted({*photos, *maps})
    ]


def evenly(items: Sequence[T], limit: int | None) -> Sequence[T]:
    """At most `limit` of them, evenly spaced.

    >>> evenly("abcdef", 3)
    ['a', 'c', 'e']
    """
    if limit is None or limit >= len(items):
        return items
    return [items[i * len(items) // limit] for i in range(limit)]
