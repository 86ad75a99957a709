"""The table of best against best, as text: of each group the row that was taken, and how those compare."""

from __future__ import annotations

from typing import TypedDict

from metai2i.metrics.display import info_of, read_measures
from metai2i.report.tables import MeanCell, PairLine, mean_cell, pair_line
from metai2i.report.wording import marked, number
from metai2i.statistics import Summary, measure_of


class TakenRow(TypedDict):
    """The row that was best of a group on validation scenes, and its score there; `run`: its run's name, where several
    are pooled.
    """

    run: str
    row: str
    score: str


class BestLine(TypedDict):
    """A group by its best row, or by that of each pooled run; `pair` is None for the first group."""

    name: str
    taken: list[TakenRow]
    mean: MeanCell
    pair: PairLine | None


class BestTable(TypedDict):
    """Best against best; `by`: the metric that has chosen the rows, and `baseline`: the first group."""

    metric: str
    by: str
    baseline: str
    rows: list[BestLine]


def best_table(summary: Summary) -> BestTable | None:
    """Return best against best on the main metric; None where the recipe names no groups."""
    best = summary.get("best")
    if not best:
        return None
    measure = measure_of(summary, summary["metric"])
    by = info_of(best["metric"], read_measures(summary["measures"]))
    lines = []
    for group, record in best["groups"].items():
        pair = record["against"]
        taken = [
            TakenRow(run=run, row=marked(summary, row), score=number(scores[row], by.digits))
            for run, row, scores in zip(best["runs"] or [""], record["chosen"], record["validation"], strict=True)
        ]
        lines.append(
            BestLine(
                name=group,
                taken=taken,
                mean=mean_cell(record["mean"], measure.digits),
                pair=None if pair is None else pair_line(group, group, best["baseline"], pair, measure.digits),
            )
        )
    return BestTable(metric=measure.label, by=by.title, baseline=best["baseline"], rows=lines)
