"""Paths that a recipe names: other recipes, folders of plugins."""

from __future__ import annotations

from pathlib import Path

from metai2i.data.places import expanded
from metai2i.errors import UserError, UserErrors
from metai2i.recipe.positions import Node


def path_of(key: str, node: Node, home: Path) -> Path:
    """Return a path as its recipe means it: `~` is the home folder, and a relative path starts at the recipe.

    Args:
        key: under which the recipe names it.
        node: the path, a string.
        home: the folder that a relative path starts at.

    Raises:
        UserErrors: when there is no such home folder.
    """
    try:
        return home / expanded(node.value)
    except UserError as error:
        what = f"{key}: got {node.value!r}, but {error.what}"
        raise UserErrors([UserError(what, where=node.where, hint=error.hint)]) from None
