"""Recipe files, and the recipes that they extend."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from metai2i.data.places import real_path
from metai2i.errors import Location, UserError, UserErrors, did_you_mean
from metai2i.files import reason
from metai2i.recipe.merge import merge
from metai2i.recipe.places import path_of
from metai2i.recipe.positions import Node, parse_yaml
from metai2i.recipe.renamed import OldKey, with_new_keys

LARGEST_RECIPE = 4 * 2**20
"""How many bytes a recipe may have; one that spells out a thousand rows has three million."""
_LONGEST = 20
"""How many recipes may extend each other in a row."""
_KINDS = {
    stat.S_ISDIR: "folder",
    stat.S_ISFIFO: "pipe",
    stat.S_ISSOCK: "socket",
    stat.S_ISCHR: "device",
    stat.S_ISBLK: "device",
}


def read_recipe(path: Path, *, alone: bool = False, old_keys: list[OldKey] | None = None) -> Node:
    """Return the recipe in a file, merged over what it `extends` (a path relative to the file), and so on.

    All is taken over but the `name`: two recipes by one name would share their runs.

    Args:
        path: of the file.
        alone: whether a recipe that extends another one is refused.
        old_keys: takes in the keys that have names of before, which are read as those of now.

    Raises:
        UserErrors: for missing and unreadable files, broken YAML, and recipes that extend themselves.
    """
    return _read(path, Location(str(path)), (), [] if old_keys is None else old_keys, alone=alone)


def _read(path: Path, asked: Location, chain: tuple[Path, ...], old_keys: list[OldKey], *, alone: bool = False) -> Node:
    text = _text(path, asked)
    if real_path(path) in chain:
        names = " extends ".join(link.name for link in (*chain[chain.index(real_path(path)) :], path))
        raise UserErrors(
            [UserError(f"recipes extend each other in a circle: {names}", where=asked, hint="take one `extends` out")]
        )
    if len(chain) > _LONGEST:
        raise UserErrors(
            [
                UserError(
                    f"more than {_LONGEST} recipes extend one another up to here",
                    where=asked,
                    hint="put some of them together",
                )
            ]
        )
    recipe = parse_yaml(text, str(path))
    if not recipe.is_mapping:
        raise UserErrors([UserError("expected a recipe (sections such as `tasks:`), got none", where=recipe.where)])
    recipe = with_new_keys(recipe, old_keys)
    extends = recipe.get("extends")
    if extends is None:
        return recipe
    if alone:
        what = "extends: the recipe of a run has everything in it; no other file is read for it"
        raise UserErrors([UserError(what, where=extends.where)])
    if not isinstance(extends.value, str):
        raise UserErrors([UserError("extends: expected the path of another recipe", where=extends.where)])
    base_path = Path(os.path.normpath(path_of("extends", extends, path.parent)))
    base = _read(base_path, extends.where, (*chain, real_path(path)), old_keys)
    return merge(base.without("name"), recipe.without("extends"))


def _text(path: Path, asked: Location) -> str:
    """Return the text of a recipe.

    Raises:
        UserErrors: for what is no file, is far too large for a recipe, or is not in UTF-8.
    """
    try:
        # Looked at first: a pipe would be waited for, and a device such as /dev/zero never ends.
        mode = path.stat().st_mode
        for is_kind, name in _KINDS.items():
            if is_kind(mode):
                raise _refused(path, asked, f"this is a {name}, expected a recipe")
        with path.open("rb") as file:
            data = file.read(LARGEST_RECIPE + 1)
    except FileNotFoundError:
        folder = path.parent
        names = [near.name for near in folder.glob("[!.]*.y*ml")] if folder.is_dir() else []
        near = did_you_mean(path.name, names)
        if near is None or not near.startswith("did you mean"):
            near = "`metai2i recipes` lists those that come along"
        where = asked if asked.line else None
        raise UserErrors([UserError(f"there is no recipe {str(path)!r}", where=where, hint=near)]) from None
    except OSError as error:
        raise _refused(path, asked, f"cannot read: {reason(error)}") from None
    if len(data) > LARGEST_RECIPE:
        raise _refused(path, asked, f"the file has more than {LARGEST_RECIPE // 2**20} MiB, which is no recipe")
    return _decoded(data, path, asked)


def _refused(path: Path, asked: Location, what: str, hint: str | None = None) -> UserErrors:
    """Return the error of a file that is no recipe, at the place that names it if that is in another recipe."""
    if asked.line:
        return UserErrors([UserError(f"{path}: {what}", where=asked, hint=hint)])
    return UserErrors([UserError(what, where=path, hint=hint)])


def _decoded(data: bytes, path: Path, asked: Location) -> str:
    """Return a text in UTF-8, with or without a byte order mark."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0\0" in (data[0:4:2], data[1:4:2]):
        raise _refused(path, asked, "this is text in UTF-16 or UTF-32, expected UTF-8", "save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"this is not text in UTF-8: line {line} has the byte 0x{data[error.start]:02X}"
        raise _refused(path, asked, what, "save it as UTF-8") from None
