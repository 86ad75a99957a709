"""Groups of rows that are compared by the best of each (`compare.best`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from metai2i.errors import Location, UserError, did_you_mean
from metai2i.recipe.positions import Node
from metai2i.recipe.schema import Row, Tune


def check_groups(
    tree: Node, groups: Mapping[str, tuple[str, ...]], names: Collection[str], rows: Mapping[str, Row]
) -> Iterator[UserError]:
    """Yield what is wrong with a recipe's groups: a group alone, or without rows; a row that is not there, is in two
    places, or is not tuned on validation scenes as the others are.

    Args:
        tree: the recipe as written, for the places.
        groups: by their names, as the schema has checked them.
        names: of all rows.
        rows: those of them that are right.
    """
    if len(groups) == 1:
        what, hint = "compare.best: there is one group only", "add the group that it is compared with, as the first"
        yield UserError(what, where=tree.locate(("compare", "best")), hint=hint)
    placed: dict[str, str] = {}
    tuned: dict[str, Tune] = {}
    for group, members in groups.items():
        at = ("compare", "best", group)
        if not members:
            yield UserError(f"compare.best.{group}: no row is named", where=tree.locate(at), hint=f"{group}: [a row]")
        for place, name in enumerate(members):
            where = tree.locate((*at, place))
            if name not in names:
                what = f"compare.best.{group}: no row is called {name!r}"
                yield UserError(what, where=where, hint=did_you_mean(name, names))
            elif name in placed:
                yield UserError(f"compare.best.{group}: {name!r} is in {placed[name]!r} already", where=where)
            elif name in rows:
                yield from _as_the_others(name, rows, tuned, f"compare.best.{group}", where)
            placed[name] = group


def _as_the_others(
    name: str, rows: Mapping[str, Row], tuned: dict[str, Tune], at: str, where: Location | None
) -> Iterator[UserError]:
    """Yield that a row has no score on validation scenes which could be held against that of the first row.

    Args:
        tuned: how rows are tuned, the first of all first; this one is added.
    """
    tuning = rows[name].tune
    if tuning is not None and tuning.match is not None and tuning.match in rows:
        tuning = rows[tuning.match].tune
    if tuning is None:
        what = f"{at}: {name!r} is not tuned, so nothing is known of it on validation scenes"
        yield UserError(what, where=where, hint="tune: {lr: [a rate]}")
        return
    tuned[name] = tuning
    first = next(iter(tuned))
    if (tuned[first].metric, tuned[first].tasks) != (tuning.metric, tuning.tasks):
        what = f"{at}: {name!r} is tuned by another metric or on other scenes than {first!r}"
        yield UserError(what, where=where, hint="give both the same tune.metric and tune.tasks")
