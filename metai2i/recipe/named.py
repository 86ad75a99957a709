"""Where a row names another row: all that reads, checks, multiplies or selects rows follows these."""

from __future__ import annotations

from collections.abc import Iterator

from metai2i.recipe.positions import Node
from metai2i.recipe.schema import Row

NAMED = {
    ("baseline",): "a row cannot be its own baseline",
    ("continued", "match"): "a row cannot match its own budget",
    ("tune", "match"): "a row cannot adapt as is chosen for itself",
}
"""The paths to the names, and what is told of a row that names itself."""


def naming_paths(row: Node) -> dict[tuple[str, ...], str]:
    """Return the paths at which a row, as written, may name another one of its recipe, and what is told of one that
    names itself.
    """
    start = row.get("start")
    parts = start.value if start is not None and start.is_mapping else {}
    begun = [part for part, node in parts.items() if node.get("run") is None or node.get("run").value is None]
    return NAMED | {("start", part, "row"): "a row cannot begin with its own weights" for part in begun}


def begun_from(row: Row) -> dict[str, str]:
    """Return the rows of the recipe that parts of a row's translator begin with, by part."""
    return {
        part: start.row
        for part, start in row.start.items()
        if start is not None and start.run is None and start.row is not None
    }


def named_by(row: Row) -> Iterator[str]:
    """Yield the rows that a row names."""
    yield from begun_from(row).values()
    for section, *inside in NAMED:
        value = getattr(row, section)
        for part in inside:
            value = value and getattr(value, part)
        if value is not None:
            yield value
