"""Some of a recipe's rows: those that are asked for, and those that they name."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from metai2i.errors import UserError, did_you_mean
from metai2i.recipe.figures import rows_shown
from metai2i.recipe.named import named_by
from metai2i.recipe.resolve import resolve
from metai2i.recipe.schema import Figure, Header, Recipe, Row


def select(recipe: Recipe, patterns: Sequence[str]) -> Recipe:
    """Return the recipe with fewer rows, in their order; all of them where nothing is asked for.

    A row comes with the one that it is compared with, the one whose training it matches, the one as which it adapts and
    those that it begins with.
    Stages do not know of other rows, so that the whole recipe finds them done later. Figures of rows that are left out
    are left out.

    Args:
        recipe: with all rows.
        patterns: names of rows, in which `*` stands for any text and `?` for any character.

    Raises:
        UserError: when a pattern names no row.
    """
    if not patterns:
        return recipe
    asked: set[str] = set()
    for pattern in patterns:
        matches = matching(pattern, recipe.rows)
        if not matches:
            raise UserError(f"--rows: no row is called {pattern!r}", hint=_nearest(pattern, recipe.rows))
        asked |= set(matches)
    kept = _with_named(recipe, asked)
    rows = {name: row for name, row in recipe.rows.items() if name in kept}
    baseline = recipe.compare.baseline if recipe.compare.baseline in rows else None
    changed = {
        "compare": recipe.compare.model_copy(update={"baseline": baseline, "best": groups_among(recipe, rows)}),
        "figures": _of_these(recipe.figures, rows),
    }
    header = {name: getattr(recipe, name) for name in Header.model_fields} | changed
    return recipe.model_copy(update={**changed, "rows": rows, "resolved": resolve(header, rows)})


def groups_among(recipe: Recipe, rows: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the groups of `compare.best` with the rows that are kept; none where fewer than two are left."""
    groups = {group: tuple(row for row in named if row in rows) for group, named in recipe.compare.best.items()}
    left = {group: named for group, named in groups.items() if named}
    return left if len(left) > 1 else {}


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """Return the names that a pattern fits: `*` stands for any text, `?` for any character."""
    return [name for name in names if name == pattern or fnmatchcase(name, pattern)]


def _nearest(pattern: str, names: Collection[str]) -> str | None:
    """Return what may be meant: several rows, which stand behind an option each, or another one."""
    several = [part.strip() for part in pattern.split(",")]
    if len(several) > 1 and all(matching(part, names) for part in several):
        return f"name each row by itself: {' '.join(f'--rows {shlex.quote(part)}' for part in several)}"
    return did_you_mean(pattern, names)


def _with_named(recipe: Recipe, asked: set[str]) -> set[str]:
    named = {row.baseline for row in recipe.rows.values()}
    kept, more = set[str](), set(asked)
    while more:
        kept |= more
        needed = {other for name in more for other in named_by(recipe.rows[name])}
        against_all = any(recipe.rows[name].baseline is None and name not in named for name in more)
        if against_all and recipe.compare.baseline is not None:
            needed.add(recipe.compare.baseline)
        more = needed - kept
    return kept


def _of_these(figures: Mapping[str, Figure] | None, rows: Mapping[str, Row]) -> dict[str, Figure] | None:
    """Return those figures that show nothing else; the suggested ones (None) in the place of figures that
    are all gone.
    """
    if not figures:
        return None if figures is None else {}
    return {title: figure for title, figure in figures.items() if set(rows_shown(figure)) <= set(rows)} or None
