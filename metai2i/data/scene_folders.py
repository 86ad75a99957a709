"""Folders that are one scene each, by the names that lists or folders of splits give them.

A scene is told by its name alone, so that it stays the same when others come or go. Two that could be taken for each
other, and a folder that is reached in two ways, are refused: a scene that tests must not train.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from metai2i.data.folders import is_broken_link, subfolders
from metai2i.errors import UserError, did_you_mean
from metai2i.files import LONGEST_NAME


@dataclass(frozen=True)
class Member:
    """A folder that is one scene.

    Args:
        id: the scene's, from the folder's name alone.
        path: the folder; need not exist where a list names it.
    """

    id: str
    path: Path


def refuse_same(splits: Iterable[tuple[str, Iterable[Member]]], where: Path) -> None:
    """Refuse scenes that cannot be told apart, and folders that are reached twice.

    Args:
        splits: the scenes of every split, by its name.
        where: the folder or list that names them.

    Raises:
        UserError: when two scenes have one name, or names that look the same (letters with accents can be spelled in
            two ways); or when two are one folder, as links make it.
    """
    names: dict[str, tuple[str, Member]] = {}
    places: dict[tuple[int, int], tuple[str, Member]] = {}
    for split, members in splits:
        for member in members:
            other = names.setdefault(unicodedata.normalize("NFC", member.id), (split, member))
            if other[1] is not member:
                raise UserError(
                    _one_name(other, (split, member)),
                    where=where,
                    hint="rename one: scenes are told apart by their names",
                )
            if not member.path.is_dir():
                continue
            state = member.path.stat()
            other = places.setdefault((state.st_dev, state.st_ino), (split, member))
            if other[1] is not member:
                what = f"{other[1].id!r} in {other[0]!r} and {member.id!r} in {split!r} are one folder"
                raise UserError(f"{what}, {member.path.resolve()}", where=where, hint="remove one of the two")


def _one_name(first: tuple[str, Member], second: tuple[str, Member]) -> str:
    (split, member), (other, same) = first, second
    if member.id != same.id:
        spelled = f"{member.id!a}, {same.id!a}"
        return f"{member.id!r} in {split!r} and {same.id!r} in {other!r} look the same ({spelled})"
    if split == other:
        return f"{split!r} lists {member.id!r} twice"
    return f"{member.id!r} is in {split!r} and in {other!r}"


def named_member(name: object, root: Path, where: Path, list_name: str) -> Member:
    """Return the scene that a list names.

    Args:
        name: as it stands in the list: the name of a folder in `root`, or its path in there.
        root: the folder of all.
        where: the list's file, for messages.
        list_name: which list in it.

    Raises:
        UserError: for what is no name, and for a path that leads out of the folder.
    """
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise UserError(f"expected a list of folder names under {list_name!r}, got {name!r} in it", where=where)
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(f"{list_name!r} lists {name!a}, which is no text", where=where) from None
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise UserError(
            f"{list_name!r} lists {name!r}, which leads out of this folder; expected the name of a folder in it",
            where=where,
        )
    longest = max(path.parts, key=lambda part: len(part.encode()))
    if len(longest.encode()) > LONGEST_NAME:
        raise UserError(
            f"{list_name!r} lists {longest[:40]!r}… of {len(longest.encode())} bytes, and no folder has a name of more "
            f"than {LONGEST_NAME}",
            where=where,
        )
    return Member(path.as_posix(), root / path)


def missing_folder(member: Member, root: Path, where: Path, list_name: str) -> UserError:
    """Return what to say of a listed scene that has no folder."""
    what = "a link that leads nowhere" if is_broken_link(member.path) else f"no folder {member.path}"
    near = did_you_mean(member.id, [path.name for path in subfolders(root)])
    hint = near if near and near.startswith("did") else None
    return UserError(f"{list_name!r} lists {member.id!r}, but there is {what}", where=where, hint=hint)
