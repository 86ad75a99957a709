"""Which rows an override reaches: a row that has a value of its own is not reached by that of all rows."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from metai2i.errors import Location
from metai2i.recipe.overrides import is_typed
from metai2i.recipe.positions import Node
from metai2i.recipe.schema import Row
from metai2i.registry.problems import show

_SHOWN = 2
"""How many values, and how many rows of each, are named."""


@dataclass(frozen=True)
class Reach:
    """What came of one override.

    Args:
        override: as it was typed.
        changed: the rows that work otherwise by it.
        idle: the rows that have its value and work as they would without, with the reason.
        others: what the other rows have in its place, by row.
        later: whether all that they have in its place comes from other overrides.
    """

    override: str
    changed: frozenset[str]
    idle: Mapping[str, str]
    others: Mapping[str, str]
    later: bool

    def sentence(self, rows: Collection[str]) -> tuple[bool, str]:
        """Return whether it changes any of some rows, and how many of them, in words.

        Args:
            rows: those that are run.
        """
        count = sum(name in self.changed for name in rows)
        said = f"{self.override} changes {count} of {len(rows)} row{'' if len(rows) == 1 else 's'}"
        left = {name: why for name, why in {**self.idle, **self.others}.items() if name in rows}
        reasons = list(dict.fromkeys(left.values()))
        sentences = [
            f"{_names([name for name in left if left[name] == reason])}: {reason}" for reason in reasons[:_SHOWN]
        ]
        more = len(reasons) - _SHOWN
        sentences += [f"and {more} other value{'' if more == 1 else 's'}"] if more > 0 else []
        sentences += ["another override sets it again"] if not count and not sentences else []
        said += f" ({'; '.join(sentences)})" if sentences else ""
        if not self.later and any(name in self.others for name in rows):
            said += f"; {shlex.quote(f'rows.*.{self.override}')} reaches every row"
        return count > 0, said


def of_rows(piece: Node) -> bool:
    """Return whether an override is about what rows say, and not about the recipe as a whole or its grid."""
    return any(name == "rows" or name in Row.model_fields for name in piece.value)


def reach(
    override: str,
    piece: Node,
    nodes: Mapping[str, Node],
    rows: Mapping[str, Row],
    without: Mapping[str, Row],
    unused: Callable[[Row, str], str | None],
) -> Reach:
    """Return what came of an override.

    Args:
        override: as it was typed.
        piece: as a piece of a recipe.
        nodes: the rows with all overrides, with places.
        rows: the same rows, checked.
        without: the rows as they are without this one; empty where they would be wrong.
        unused: why a row does nothing with a section; None where it uses it.
    """  # fmt: skip
    path, where = _path(piece)
    of_all = path[0] != "rows"
    section = path[0] if of_all else next(iter(path[2:]), "")
    reached = [name for name, node in nodes.items() if _holds(node, where)]
    idle = {name: unused(rows[name], section) for name in reached}
    idle |= {name: idle[name] or "as it is anyway" for name in reached if rows[name] == without.get(name)}
    others = {name: _instead(node, path) for name, node in nodes.items() if of_all and name not in reached}
    return Reach(
        override,
        frozenset(name for name in reached if idle[name] is None),
        {name: why for name, why in idle.items() if why is not None},
        {name: text for name, (text, _) in others.items()},
        all(typed for _, typed in others.values()),
    )


def _path(piece: Node) -> tuple[list[str], Location]:
    """Return the path that an override sets, and the place of what it sets there."""
    path: list[str] = []
    while isinstance(piece.value, dict) and len(piece.value) == 1:
        ((name, child),) = piece.value.items()
        path.append(name)
        piece = child
    return path, piece.where


def _holds(node: Node, where: Location) -> bool:
    """Return whether anything in a row is written at a place."""
    if isinstance(node.value, dict) and node.value:
        return any(_holds(child, where) for child in node.value.values())
    return node.where == where


def _instead(node: Node, path: list[str]) -> tuple[str, bool]:
    """Return what a row has in an override's place, and whether that is typed on the command line, too."""
    for n, name in enumerate(path):
        child = node.get(name)
        if child is None:
            use = node.get("use")
            return f"{path[n - 1]}: {{use: {use.value}}} of its own" if n and use else "a section of its own", False
        node = child
    plain = node.plain()
    value = plain if isinstance(plain, str) else "a section" if node.is_mapping else show(plain)
    return f"{value}, {'by another override' if is_typed(node) else 'of its own'}", is_typed(node)


def _names(names: list[str]) -> str:
    few = ", ".join(map(repr, names[:_SHOWN]))
    return few if len(names) <= _SHOWN else f"{few} and {len(names) - _SHOWN} more"
