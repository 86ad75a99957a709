"""`grid:`, the product of several axes, and of the rows that are written, as rows."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from metai2i.errors import UserError, UserErrors, did_you_mean
from metai2i.recipe.merge import merge, nest
from metai2i.recipe.named import naming_paths
from metai2i.recipe.positions import Node, dump_yaml

ROW = "row"
"""What stands in a grid's name for the row that is written."""
_MOST = 1000
"""How many combinations a grid may have."""


def grid_rows(grid: Node, written: Mapping[str, Node] = {}) -> dict[str, Node]:
    """Return the rows that a grid spells out; the first axis varies slowest.

    An axis is a dotted path with the list of its values. `name` says what the rows are called: `{PATH}` stands for the
    value on that axis; without it a row is called `PATH=VALUE, PATH=VALUE`::

        grid:
          axes:
            strategy.use: [finetune, bil]
            adapt.iterations: [5, 20]
          name: "{strategy.use} after {adapt.iterations}"

    A value may be a whole section (`strategy: [{use: bil, order: 2}, {use: finetune}]`); its name is then its `use`.

    With `{row}` in the name every row that is written is spelled out at every point, rows varying slowest; what it
    names (`baseline`, `continued.match`, `tune.match`, `start.PART.row`) is the row at the same point.

    Args:
        grid: the section.
        written: the rows of the recipe.

    Raises:
        UserErrors: for everything in the grid that is not as above, and for two rows of one name.
    """
    axes, name = _parts(grid)
    points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*(a.value for a in axes.values()))]
    origins: Mapping[str, Node | None] = multiplied(grid, written) or {"": None}
    rows: dict[str, Node] = {}
    errors: list[UserError] = []
    for origin, node in origins.items():
        for point in points:
            title = _title(name, point, origin)
            if title in rows:
                where = name.where if name else grid.where
                errors.append(
                    UserError(f"grid: two rows are called {title!r}", where=where, hint="name every axis in `name`")
                )
            rows[title] = _row(point) if node is None else _at(node, origins, name, point)
    if errors:
        raise UserErrors(dict.fromkeys(errors))
    return rows


def multiplied(grid: Node, written: Mapping[str, Node]) -> dict[str, Node]:
    """Return the rows that the grid spells out at all of its points: those that are written, if its name has `{row}`,
    but for those that bear the name of one that is spelled out, which they are merged over.
    """
    axes, name = _parts(grid)
    if name is None or f"{{{ROW}}}" not in name.value:
        return {}
    points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*(a.value for a in axes.values()))]
    titles = {_title(name, point, row) for row in written for point in points}
    return {row: node for row, node in written.items() if row not in titles}


def _parts(grid: Node) -> tuple[dict[str, Node], Node | None]:
    """Return the axes and the name's template, once they are known to be right."""
    errors: list[UserError] = []
    axes = grid.get("axes")
    if axes is None or not axes.is_mapping or not axes.value:
        where = axes.where if axes else grid.key or grid.where
        raise UserErrors(
            [
                UserError(
                    "grid: expected `axes`, a section of lists", where=where, hint="axes: {adapt.iterations: [5, 20]}"
                )
            ]
        )
    for key, child in grid.value.items():
        if key not in ("axes", "name"):
            hint = did_you_mean(key, ["axes", "name"])
            errors.append(UserError(f"grid: unknown key {key!r}", where=child.key, hint=hint))
    for path, axis in axes.value.items():
        if not isinstance(axis.value, list) or not axis.value:
            errors.append(UserError(f"grid: expected a list of values for {path!r}", where=axis.where))
        if not all(path.split(".")):
            errors.append(UserError(f"grid: {path!r} is no path such as adapt.iterations", where=axis.key))
    name = grid.get("name")
    if name is not None and not isinstance(name.value, str):
        errors.append(UserError("grid: name: expected a string", where=name.where))
    elif name is not None:
        for path in re.findall(r"\{([^{}]*)\}", name.value):
            if path not in axes.value and path != ROW:
                hint = did_you_mean(path, axes.value)
                errors.append(UserError(f"grid: name: no axis is called {path!r}", where=name.where, hint=hint))
    if errors:
        raise UserErrors(errors)
    count = math.prod(len(axis.value) for axis in axes.value.values())
    if count > _MOST:
        what = f"grid: {count:,} combinations, expected at most {_MOST:,}"
        raise UserErrors([UserError(what, where=axes.key or axes.where)])
    return axes.value, name


def _row(point: Mapping[str, Node]) -> Node:
    pieces = [nest(path.split("."), value) for path, value in point.items()]
    row = pieces[0]
    for piece in pieces[1:]:
        row = merge(row, piece)
    return row


def _at(row: Node, origins: Collection[str], name: Node | None, point: Mapping[str, Node]) -> Node:
    """Return a written row at a point of the grid."""
    for path in naming_paths(row):
        other = _inside(row, path)
        if other is not None and other.value in origins:
            named = replace(other, value=_title(name, point, other.value))
            row = merge(row, nest(list(path), named))
    return merge(row, _row(point))


def _inside(node: Node | None, path: Sequence[str]) -> Node | None:
    for part in path:
        node = node.get(part) if node is not None else None
    return node if node is not None and isinstance(node.value, str) else None


def _title(name: Node | None, point: Mapping[str, Node], row: str = "") -> str:
    texts = {path: _text(value) for path, value in point.items()}
    if name is None:
        return ", ".join(f"{path}={text}" for path, text in texts.items())
    texts = {ROW: row, **texts}
    return re.sub(r"\{([^{}]*)\}", lambda match: texts[match[1]], name.value)


def _text(value: Node) -> str:
    used = value.get("use")
    plain = (used or value).plain()
    return plain if isinstance(plain, str) else dump_yaml([plain]).removeprefix("- ").strip()
