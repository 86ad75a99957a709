"""Paths that a recipe names: other recipes, folders of plugins, what rows begin with, options of components."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metai2i.data.places import expanded
from metai2i.errors import UserError, UserErrors
from metai2i.recipe.positions import Node

SEED_IN_PATH = "{seed}"
"""Stands in a path for the seed of the recipe, so that each seed has a file or folder of its own."""


def with_seed(value: Any, seed: int) -> Any:
    """Return an option's value; in paths, also those in lists and mappings, the seed stands for `{seed}`."""
    if isinstance(value, Path):
        return Path(str(value).replace(SEED_IN_PATH, str(seed)))
    if isinstance(value, Mapping):
        return {key: with_seed(inner, seed) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(with_seed(inner, seed) for inner in value)
    return value


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
