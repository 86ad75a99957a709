"""Rows that fill a grid as tables whose cells are coloured by what they hold: means, and ratios to the baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypedDict

from metai2i.metrics.display import MetricInfo
from metai2i.report.wording import NOTHING, marked, number
from metai2i.statistics import FactorRecord, Summary, baseline_of, measure_of

FACTOR_NAMES = {
    "adapt.iterations": "adaptation steps",
    "adapt.lr": "inner rate",
    "episodes.shots": "shots",
    "evaluate.shots": "shots at test",
    "strategy.use": "strategy",
    "strategy.steps": "inner steps in meta-training",
    "translator.use": "translator",
    "metatrain.iterations": "outer steps",
    "pretrain.iterations": "steps of pre-training",
    "tasks.train": "training scenes",
}
"""What factors are called in words; others by their path in the recipe."""


class HeatCell(TypedDict):
    """A cell; `heat`: 0 to 1, how strong its colour is; `tone`: "better" or "worse", which colour; `words`: all of it.

    `row`: that it is of, empty where no row is there.
    """

    row: str
    value: str
    below: str
    heat: float
    tone: str
    best: bool
    words: str


class HeatLine(TypedDict):
    """A line of a table."""

    label: str
    cells: list[HeatCell]


class HeatTable(TypedDict):
    """A table of one quantity; `caption`: what colours say."""

    title: str
    lines: list[HeatLine]
    caption: str


class FactorTable(TypedDict):
    """A grid of rows; `tables`: the main metric, the ratio to the baseline; `more`: the other metrics.

    `again`: whether a table before has the same rows, cut another way.
    """

    title: str
    again: bool
    factor: str
    by: str
    levels: list[str]
    tables: list[HeatTable]
    more: list[HeatTable]


def factor_heat_maps(summary: Summary) -> list[FactorTable]:
    """Return the tables of the grids that rows fill; none where they fill none."""
    records = summary.get("factors", [])
    rows = [set(_rows(record)) for record in records]
    return [
        _factor_table(summary, record, again=any(rows[n] <= before for before in rows[:n]))
        for n, record in enumerate(records)
    ]


def _factor_table(summary: Summary, record: FactorRecord, *, again: bool) -> FactorTable:
    metric = summary["metric"]
    others = [name for name in summary["metrics"] if name != metric]
    factor, by = _name(record["factor"]), _name(record["by"]) if record["by"] else "row"
    ratios = _ratios(summary, record)
    return FactorTable(
        title=f"{by} × {factor}" if record["by"] else f"rows × {factor}",
        again=again,
        factor=factor,
        by=by,
        levels=record["levels"],
        tables=[_means(summary, record, metric), *([ratios] if ratios else [])],
        more=[] if again else [_means(summary, record, name) for name in others],
    )


def _name(path: str) -> str:
    return FACTOR_NAMES.get(path, path)


def _means(summary: Summary, record: FactorRecord, metric: str) -> HeatTable:
    measure = measure_of(summary, metric)
    cells = {row: summary["rows"][row].get(metric) for row in _rows(record)}
    means = {row: cell["mean"] for row, cell in cells.items() if cell is not None and cell["mean"] is not None}
    leaking = summary.get("leaking", ())
    heats = shares(means, higher_is_better=measure.higher_is_better)
    honest = [heats[row] for row in heats if row not in leaking]
    lines = []
    for row, mean in means.items():
        entry = cells[row]
        half = _half(entry["low"], entry["high"], measure) if entry else ""
        best = measure.higher_is_better is not None and row not in leaking and heats[row] == max(honest)
        words = f"{marked(summary, row)}: {measure.title} {number(mean, measure.digits)}{f' ± {half}' if half else ''}"
        lines.append(
            HeatCell(
                row=row,
                value=number(mean, measure.digits),
                below=f"± {half}" if half else "",
                heat=round(heats[row], 3),
                tone="better",
                best=best and len(honest) > 1,
                words=words,
            )
        )
    what = "The stronger the colour, the better" if measure.higher_is_better is not None else "Darker is higher"
    return HeatTable(
        title=f"{measure.label}{f' [{measure.unit}]' if measure.unit else ''}",
        lines=_lines(record, {cell["row"]: cell for cell in lines}),
        caption=f"{what}, from the worst to the best of the table; the best is bold.",
    )


def _ratios(summary: Summary, record: FactorRecord) -> HeatTable | None:
    """Return what rows are to their baselines; None unless two of them are compared."""
    metric = summary["metric"]
    measure = measure_of(summary, metric)
    pairs = {row: summary["pairs"][row][metric] for row in _rows(record) if metric in summary["pairs"].get(row, {})}
    by_difference = measure.unit == "dB" or any(pair["ratio"] is None for pair in pairs.values())
    values = {row: pair["difference"] if by_difference else pair["ratio"] for row, pair in pairs.items()}
    known = {row: value for row, value in values.items() if value is not None and (by_difference or value > 0)}
    if len(known) < 2 or measure.higher_is_better is None:
        return None
    amounts = {row: value if by_difference else math.log(value) for row, value in known.items()}
    most = max(map(abs, amounts.values())) or 1.0
    cells = {}
    for row, amount in amounts.items():
        good = (amount > 0) == measure.higher_is_better
        shown = number(known[row], measure.digits, sign=True) if by_difference else number(known[row], 3)
        against, verdict = baseline_of(summary, row) or "", pairs[row]["verdict"]
        cells[row] = HeatCell(
            row=row,
            value=shown,
            below=verdict if verdict in ("better", "worse") else "",
            heat=round(abs(amount) / most, 3),
            tone="better" if good else "worse",
            best=False,
            words=f"{marked(summary, row)} against {against}: {shown}, {verdict}",
        )
    what = "Difference" if by_difference else "Ratio"
    several = len({baseline_of(summary, row) for row in known}) > 1
    to = "its baseline" if several else marked(summary, str(baseline_of(summary, next(iter(known)))))
    return HeatTable(
        title=f"{measure.title}, {what.lower()} to {to}",
        lines=_lines(record, cells),
        caption=f"{what} to {to}: blue where the row is better, orange where it is worse, stronger the further off. "
        "The words are the verdicts of the comparisons below; without a word no difference is shown.",
    )


def shares(values: Mapping[str, float], *, higher_is_better: bool | None) -> dict[str, float]:
    """Return how far each value is from the worst (0) to the best (1); upwards where neither side is known as better.

    All are 0.5 where they are equal.
    """
    if not values:
        return {}
    low, high = min(values.values()), max(values.values())
    if low == high:
        return dict.fromkeys(values, 0.5)
    upwards = {row: (value - low) / (high - low) for row, value in values.items()}
    return {row: 1 - share for row, share in upwards.items()} if higher_is_better is False else upwards


def _lines(record: FactorRecord, cells: Mapping[str, HeatCell]) -> list[HeatLine]:
    nothing = HeatCell(row="", value=NOTHING, below="", heat=0.0, tone="better", best=False, words="")
    lines = [
        HeatLine(
            label=line["label"],
            cells=[cells.get(line["rows"].get(level, ""), nothing) for level in record["levels"]],
        )
        for line in record["lines"]
    ]
    return [line for line in lines if any(cell["row"] for cell in line["cells"])]


def _rows(record: FactorRecord) -> Sequence[str]:
    return [row for line in record["lines"] for row in line["rows"].values()]


def _half(low: float | None, high: float | None, measure: MetricInfo) -> str:
    return "" if low is None or high is None else number((high - low) / 2, measure.digits)
