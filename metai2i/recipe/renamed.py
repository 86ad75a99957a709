"""Keys of recipes that are called otherwise now: the old names keep working, and are told once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from metai2i.errors import Location, UserError, UserErrors
from metai2i.recipe.positions import Node

RENAMED = {"looks": "colour_jitter", "further": "continued"}
"""The sections of a row by their names of before, with those of now."""


@dataclass(frozen=True)
class OldKey:
    """A key that a recipe or an override has by its old name.

    Args:
        name: the old name.
        where: the place of the key.
    """

    name: str
    where: Location


def with_new_keys(tree: Node, old_keys: list[OldKey]) -> Node:
    """Return a recipe, or a piece of one, with the sections of its top, its rows and its grid by their names of now.

    Args:
        tree: as it was written, before anything is merged over it or under it.
        old_keys: takes in the keys that have old names.

    Raises:
        UserErrors: for every section that has both names in one place.
    """
    errors: list[UserError] = []
    tree = _sections(tree, old_keys, errors)
    rows, grid = tree.get("rows"), tree.get("grid")
    if rows is not None and rows.is_mapping:
        named = {name: _sections(row, old_keys, errors) for name, row in rows.value.items()}
        tree = replace(tree, value={**tree.value, "rows": replace(rows, value=named)})
    if grid is not None and grid.is_mapping:
        tree = replace(tree, value={**tree.value, "grid": _grid(grid, old_keys, errors)})
    if errors:
        raise UserErrors(errors)
    return tree


def plain_with_new_keys(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain data of a recipe that a run has kept, whose sections have the names of now."""
    renamed = _plain_sections(recipe)
    rows = renamed.get("rows")
    if isinstance(rows, Mapping):
        renamed["rows"] = {
            name: _plain_sections(row) if isinstance(row, Mapping) else row for name, row in rows.items()
        }
    return renamed


def deprecations(old_keys: Sequence[OldKey]) -> tuple[str, ...]:
    """Return a note for each old name: the first place that has it, how many more there are, and the new name."""
    notes = []
    for old, new in RENAMED.items():
        places = list(dict.fromkeys(key.where for key in old_keys if key.name == old))
        if places:
            more = f" (and in {len(places) - 1} more place{'s' if len(places) > 2 else ''})" if len(places) > 1 else ""
            notes.append(f"{places[0]}: `{old}` is called `{new}` now{more}; the old name still works")
    return tuple(notes)


def _sections(node: Node, old_keys: list[OldKey], errors: list[UserError]) -> Node:
    if not node.is_mapping:
        return node
    return replace(node, value=_renamed(node.value, old_keys, errors))


def _grid(grid: Node, old_keys: list[OldKey], errors: list[UserError]) -> Node:
    """Rename the sections that the axes of a grid begin with. The names of its rows stay what they were."""
    axes, name = grid.get("axes"), grid.get("name")
    if axes is None or not axes.is_mapping:
        return grid
    paths = {path: _path(path) for path in axes.value}
    if all(old == new for old, new in paths.items()):
        return grid
    template = ", ".join(f"{path}={{{path}}}" for path in axes.value) if name is None else name.value
    if isinstance(template, str):
        for old, new in paths.items():
            template = template.replace(f"{{{old}}}", f"{{{new}}}")
    named = Node(template, grid.where) if name is None else replace(name, value=template)
    over = replace(axes, value=_renamed(axes.value, old_keys, errors))
    return replace(grid, value={**grid.value, "axes": over, "name": named})


def _renamed(children: Mapping[str, Node], old_keys: list[OldKey], errors: list[UserError]) -> dict[str, Node]:
    """Return entries, by a section's name or by a path that begins with one, under their names of now."""
    renamed: dict[str, Node] = {}
    for key, child in children.items():
        path, where = _path(key), child.key or child.where
        if path != key:
            old_keys.append(OldKey(key.partition(".")[0], where))
            if path in children:
                what = f"{key!r} and {path!r} are one key by its old and its new name: give one of the two"
                errors.append(UserError(what, where=where, hint=f"keep {path}"))
                continue
        renamed[path] = child
    return renamed


def _path(path: str) -> str:
    section, dot, rest = path.partition(".")
    return f"{RENAMED.get(section, section)}{dot}{rest}"


def _plain_sections(data: Mapping[str, Any]) -> dict[str, Any]:
    return {RENAMED.get(name, name): value for name, value in data.items() if RENAMED.get(name) not in data}
