"""Where a row names another row: all that reads, checks, multiplies or selects rows follows these."""

from __future__ import annotations

from collections.abc import Iterator

from metai2i.recipe.schema import Row

NAMED = {
    ("baseline",): "a row cannot be its own baseline",
    ("continued", "match"): "a row cannot match its own budget",
    ("tune", "match"): "a row cannot adapt as is chosen for itself",
}
"""The paths to the names, and what is told of a row that names itself."""


def named_by(row: Row) -> Iterator[str]:
    """Yield the rows that a row names."""
    for section, *inside in NAMED:
        value = getattr(row, section)
        for part in inside:
            value = value and getattr(value, part)
        if value is not None:
            yield value
