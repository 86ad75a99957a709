"""Where people lie in a folder: which folders are people, in which split, and the pairs of each.

The layout, which `metai2i data faces` writes: `splits.json` with lists of folder names, such as
`{"train": ["p001"], "test": ["p002"]}`, and `p001/NAME.jpg` beside `p001/NAME.png`. Without a `splits.json` the folders
`train/`, `val/` and `test/` hold the people. What systems leave behind (`__MACOSX/`, `@eaDir/`, `.ipynb_checkpoints/`
and such) is nobody.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metai2i import UserError, did_you_mean, read_json
from metai2i.data import (
    Member,
    by_stem,
    check_name,
    is_broken_link,
    missing_folder,
    named_member,
    refuse_same,
    refuse_twins,
    subfolders,
)

FOLDERS = ("train", "val", "test", "cross_test")
"""The folders of people where there is no `splits.json`."""
PHOTOS, MAPS = (".jpg", ".jpeg"), (".png",)


@dataclass(frozen=True)
class Pair:
    """A photograph and its label map, as files.

    Args:
        photo: need not exist where only the map is there.
        labels: need not exist where only the photograph is there.
        photos: all photographs of this name; of several (`a.jpeg` beside `a.jpg`) nobody knows which is meant.
        maps: all label maps of this name.
    """

    photo: Path
    labels: Path
    photos: tuple[Path, ...] = ()
    maps: tuple[Path, ...] = ()


@dataclass(frozen=True)
class People:
    """The splits of a folder.

    Args:
        root: the folder.
        splits: people by the name of their split, in order; only those whose folders are there.
        missing: what is wrong with the others.
    """

    root: Path
    splits: Mapping[str, Sequence[Member]]
    missing: Sequence[UserError] = ()

    def of(self, split: str) -> Sequence[Member]:
        """Return the people of a split that must be there.

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

    def with_images(self) -> People:
        """Return the people of whom there are images; the others are told as missing."""
        missing = list(self.missing)
        splits: dict[str, Sequence[Member]] = {}
        for split, people in self.splits.items():
            empty = {member for member in people if not pairs(member.path)}
            missing += [no_images(member) for member in people if member in empty]
            splits[split] = [member for member in people if member not in empty]
        return People(self.root, splits, missing)


def no_images(person: Member) -> UserError:
    """Return what to say of a person without images."""
    return UserError("no images of this person, expected NAME.jpg beside NAME.png", where=person.path)


def find_people(root: Path) -> People:
    """Return the people of a folder.

    Raises:
        UserError: when it is missing or has no splits, when a list is not as it should be, or when two people have one
            name or one folder, by links say.
    """
    if not root.is_dir():
        what = "this is a file, expected a folder" if root.exists() else "there is no such folder"
        raise UserError(what, where=root, hint="tasks.root names the folder of prepared faces")
    listing = root / "splits.json"
    if os.path.lexists(listing):
        people = _listed(listing)
        refuse_same(people.splits.items(), listing)
        return people
    missing: list[UserError] = []
    splits = {name: _people_in(root / name, missing) for name in FOLDERS if (root / name).is_dir()}
    if not any(splits.values()) and not missing:
        raise UserError(
            "no people here; looked for splits.json, and for folders of people in train/, val/ and test/",
            where=root,
            hint="`metai2i data faces` makes such a folder from videos",
        )
    refuse_same(splits.items(), root)
    return People(root, splits, missing)


def _listed(listing: Path) -> People:
    content = read_json(listing)
    if not isinstance(content, dict):
        raise UserError("expected an object of lists of folder names", where=listing)
    root, missing = listing.parent, []
    splits: dict[str, list[Member]] = {}
    for split, names in content.items():
        if not isinstance(names, list):
            raise UserError(f"expected a list of folder names under {split!r}", where=listing)
        members = [named_member(name, root, listing, split) for name in names]
        splits[split] = [member for member in members if member.path.is_dir()]
        missing += [missing_folder(member, root, listing, split) for member in members if not member.path.is_dir()]
    return People(root, splits, missing)


def _people_in(folder: Path, missing: list[UserError]) -> list[Member]:
    people = []
    for path in subfolders(folder):
        try:
            check_name(path)
        except UserError as error:
            missing.append(error)
            continue
        if is_broken_link(path):
            missing.append(UserError("this link leads nowhere", where=path))
        else:
            people.append(Member(path.name, path))
    return people


def pairs(person: Path) -> list[Pair]:
    """Return all pairs of a person by name, and single photographs and maps as pairs of which one file does
    not exist.
    """
    photos, maps = by_stem(person, PHOTOS), by_stem(person, MAPS)
    return [
        Pair(
            photos.get(name, [person / f"{name}.jpg"])[0],
            maps.get(name, [person / f"{name}.png"])[0],
            tuple(photos.get(name, ())),
            tuple(maps.get(name, ())),
        )
        for name in sorted({*photos, *maps})
    ]


def check_names(pair: Pair) -> None:
    """Look at the names of a pair.

    Raises:
        UserError: for one that is no UTF-8, and for one that several photographs or several maps have.
    """
    check_name(pair.photo)
    for files in (pair.photos, pair.maps):
        refuse_twins(files)
