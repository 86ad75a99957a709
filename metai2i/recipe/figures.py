"""Checks the figures that a recipe asks for against its rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from metai2i.errors import UserError, did_you_mean
from metai2i.recipe.positions import Node
from metai2i.recipe.schema import Figure, Row, UnadaptedColumn

_SHARED = ("structure", "support", "reference", "truth")
"""The columns that are no row's."""


def check_figures(
    tree: Node, figures: Mapping[str, Figure], names: Collection[str], rows: Mapping[str, Row]
) -> Iterator[UserError]:
    """Yield what is wrong with a recipe's figures: columns that are no row, and more images than rows keep.

    Args:
        tree: the recipe as written, for the places.
        figures: by title, as the schema has checked them.
        names: of all rows.
        rows: those of them that are right.
    """
    for title, figure in figures.items():
        yield from _unknown(tree, title, figure, names)
        yield from _too_many(tree, title, figure, {name: rows[name] for name in rows_shown(figure) if name in rows})


def rows_shown(figure: Figure) -> list[str]:
    """Return the rows whose images a figure has."""
    named = [column.general if isinstance(column, UnadaptedColumn) else column for column in figure.columns]
    return [name for name in named if not _is_shared(name)]


def _is_shared(name: str) -> bool:
    """Return whether a column is no row's: one of a few, or further images of translators by their name."""
    return name in _SHARED or (name.removeprefix("shown.").isidentifier() and name.startswith("shown."))


def _unknown(tree: Node, title: str, figure: Figure, names: Collection[str]) -> Iterator[UserError]:
    for place, column in enumerate(figure.columns):
        general = isinstance(column, UnadaptedColumn)
        name = column.general if isinstance(column, UnadaptedColumn) else column
        known = names if general else [*names, *_SHARED]
        if name not in known and (general or not _is_shared(name)):
            where = tree.locate(("figures", title, "columns", place, *(("general",) if general else ())))
            what = f"figures.{title}: no row {'' if general else 'or column '}is called {name!r}"
            yield UserError(what, where=where, hint=did_you_mean(name, known))


def _too_many(tree: Node, title: str, figure: Figure, rows: Mapping[str, Row]) -> Iterator[UserError]:
    section = "evaluate" if any(row.evaluate.queries for row in rows.values()) else "episodes"
    kept = {
        "tasks": ("evaluate.images", {name: row.evaluate.images for name, row in rows.items()}),
        "queries": (f"{section}.queries", {name: row.test_queries for name, row in rows.items()}),
    }
    for key, (source, counts) in kept.items():
        asked, least = getattr(figure, key), min(counts, key=counts.__getitem__, default=None)
        if asked is not None and least is not None and asked > counts[least]:
            what = f"figures.{title}.{key}: got {asked}, but {source} of row {least!r} is {counts[least]}"
            yield UserError(what, where=tree.locate(("figures", title, key)), hint=f"raise {source}")
