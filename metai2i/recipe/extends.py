"""Recipe files, and the recipes that they extend."""

from __future__ import annotations

import os
from pathlib import Path

from metai2i.errors import Location, UserError, UserErrors, did_you_mean
from metai2i.recipe.merge import merge
from metai2i.recipe.positions import Node, parse_yaml


def read_recipe(path: Path) -> Node:
    """The recipe in a file, merged over what it `extends` (a path relative to the file), and so on.

    All is taken over but the `name`: two recipes by one name would share their runs.

    Raises:
        UserErrors: for missing and unreadable files, broken YAML, and recipes that extend themselves.
    """
    return _read(path, Location(str(path)), chain=())


def _read(path: Path, asked: Location, chain: tuple[Path, ...]) -> Node:
    if path.resolve() in chain:
        names = " extends ".join(link.name for link in (*chain[chain.index(path.resolve()) :], path))
        raise UserErrors([UserError(f"this goes round in a circle: {names}", where=asked)])
    recipe = parse_yaml(_text(path, asked), str(path))
    if not recipe.is_mapping:
        raise UserErrors([UserError("expected a recipe (sections such as `tasks:`), got none", where=recipe.where)])
    extends = recipe.get("extends")
    if extends is None:
        return recipe
    if not isinstance(extends.value, str):
        raise UserErrors([UserError("extends: expected the path of another recipe", where=extends.where)])
    base_path = Path(os.path.normpath(path.parent / extends.value))
    base = _read(base_path, extends.where, (*chain, path.resolve()))
    return merge(base.without("name"), recipe.without("extends"))


def _text(path: Path, asked: Location) -> str:
    where = asked if asked.line else None
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        folder = path.parent
        names = [near.name for near in folder.glob("*.y*ml")] if folder.is_dir() else []
        near = did_you_mean(path.name, names)
        raise UserErrors([UserError(f"there is no recipe {str(path)!r}", where=where, hint=near)]) from None
    except UnicodeDecodeError:
        raise UserErrors([UserError(f"{path} is not a text in UTF-8", where=where)]) from None
    except OSError as error:
        raise UserErrors([UserError(f"{path} cannot be read: {error.strerror}", where=where)]) from None
