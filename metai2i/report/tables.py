"""The tables, as text for the template: means with intervals, and every row against its baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from metai2i.metrics.display import read_measures
from metai2i.report.compared import ComparedCell, compared_cell, compared_words
from metai2i.report.wording import (
    NOTHING,
    best_rows,
    count,
    harder_half_sentence,
    interval,
    marked,
    number,
    p_value,
    rank_sentences,
    steps,
)
from metai2i.statistics import (
    EstimateRecord,
    HalfPairRecord,
    HalfRowRecord,
    PairRecord,
    SetLineRecord,
    Summary,
    baseline_of,
    baselines_in,
    measure_of,
)


class MeanCell(TypedDict):
    """A mean in words; `half` of the interval's width; `flag`: whether values were left out."""

    mean: str
    half: str
    interval: str
    flag: bool


class BestCell(MeanCell):
    """A mean in words, and whether it is the best of its metric."""

    best: bool


class MeanLine(TypedDict):
    """A row of the table of means: what it is called, whether it is a baseline, its tasks, and a cell per metric."""

    row: str
    name: str
    baseline: bool
    n: str
    cells: list[BestCell]


class PairLine(TypedDict):
    """A row against its baseline on one metric, in words."""

    row: str
    name: str
    against: str
    difference: str
    difference_interval: str
    ratio: str
    ratio_interval: str
    p: str
    wins: str
    verdict: str


class AgainstCell(TypedDict):
    """A ratio or difference to another row, with its interval, in words."""

    value: str
    interval: str


class HalfCell(MeanCell):
    """A row's mean on one half of the queries, over `n` tasks, and what it is to the other rows."""

    n: int
    against: list[AgainstCell]


class HalfHead(TypedDict):
    """What stands above a half."""

    name: str
    queries: int


class HalvesLine(TypedDict):
    """A row on both halves."""

    name: str
    baseline: bool
    cells: list[HalfCell]


class HalvesTable(TypedDict):
    """Every row on both halves of the queries.

    `sentence`: what the halves are; `others`: what all are compared with, a row's name or "its baseline"; `by`:
    "ratio", or "difference" for amounts in decibel.
    """

    sentence: str
    others: list[str]
    by: str
    halves: list[HalfHead]
    rows: list[HalvesLine]


class SeedCell(TypedDict):
    """What one seed gave: a mean, and what it is to the baseline of the same seed."""

    mean: str
    against: str


class SeedsLine(TypedDict):
    """A row of the table of seeds; `sd`: between the seeds' means."""

    name: str
    cells: list[SeedCell]
    sd: str


class SeedsTable(TypedDict):
    """What each seed gave by itself; `by`: "ratio", or "difference" for amounts in decibel."""

    labels: list[str]
    by: str
    rows: list[SeedsLine]


class SetCell(ComparedCell):
    """A number of a set, and of how many images it is, in words."""

    n: str


class SetsLine(TypedDict):
    """A row of the table of sets."""

    name: str
    cells: list[SetCell]


class RankCell(TypedDict):
    """A mean rank, and whether it is the best of its column."""

    rank: str
    best: bool


class RankLine(TypedDict):
    """A row of the table of ranks."""

    name: str
    cells: list[RankCell]


class RankTable(TypedDict):
    """Mean ranks, a column for each comparison; `sentences`: what the tests say."""

    columns: list[str]
    rows: list[RankLine]
    sentences: list[str]


class SetsTable(TypedDict):
    """What metrics of sets say of all scenes together: a column for each, and a line for each row."""

    labels: list[str]
    rows: list[SetsLine]


def mean_table(summary: Summary) -> list[MeanLine]:
    """Return a line for every row."""
    metrics = summary["metrics"]
    best = {metric: best_rows(summary, metric) for metric in metrics}
    seeds = summary.get("seeds")
    times = f" × {len(seeds['labels'])}" if seeds else ""
    baselines = {summary["baseline"], *baselines_in(summary)}
    table = []
    for row, means in summary["rows"].items():
        counts = sorted({means[metric]["n"] for metric in metrics if metric in means})
        cells: list[BestCell] = []
        for metric in metrics:
            mean = means.get(metric)
            cell = mean_cell(mean, measure_of(summary, metric).digits, mean["left_out"] if mean else 0)
            cells.append({**cell, "best": row in best[metric]})
        table.append(
            MeanLine(
                row=row,
                name=marked(summary, row),
                baseline=row in baselines,
                n=(" to ".join(map(str, counts[:1] + counts[1:][-1:])) or "0") + times,
                cells=cells,
            )
        )
    return table


def mean_cell(mean: EstimateRecord | None, digits: int, left_out: int = 0) -> MeanCell:
    """Return a mean in words.

    Args:
        left_out: how many values are not in it.
    """
    if mean is None or mean["mean"] is None:
        return MeanCell(mean=NOTHING, half="", interval="", flag=bool(left_out))
    low, high = mean["low"], mean["high"]
    half = "" if low is None or high is None else number((high - low) / 2, digits)
    within = interval(low, high, digits) if half else ""
    return MeanCell(mean=number(mean["mean"], digits), half=half, interval=within, flag=bool(left_out))


def pair_table(summary: Summary, metric: str) -> list[PairLine]:
    """Return a line for every row that is compared with another one on a metric."""
    digits = measure_of(summary, metric).digits
    return [
        pair_line(row, marked(summary, row), marked(summary, summary["against"][row]), pair, digits)
        for row, pairs in summary["pairs"].items()
        if (pair := pairs.get(metric)) is not None
    ]


def pair_line(row: str, name: str, against: str, pair: PairRecord, digits: int) -> PairLine:
    """Return a comparison in words.

    Args:
        row: that is compared.
        name: what it is called in tables.
        against: what the other one is called there.
        pair: the comparison.
        digits: of the metric.
    """
    return PairLine(
        row=row,
        name=name,
        against=against,
        difference=number(pair["difference"], digits, sign=True),
        difference_interval=interval(pair["low"], pair["high"], digits, sign=True),
        ratio=number(pair["ratio"], 3),
        ratio_interval=interval(pair["ratio_low"], pair["ratio_high"], 3),
        p=p_value(pair["p_holm"]),
        wins=f"{count(pair['wins'])}/{pair['n']}" if pair["win_rate"] is not None else NOTHING,
        verdict=pair["verdict"],
    )


def halves_table(summary: Summary) -> HalvesTable | None:
    """Return every row on the harder and the easier half of the queries; None where that was not measured."""
    divided = summary.get("harder_half")
    if not divided:
        return None
    measure = measure_of(summary, summary["metric"])
    baselines, copies = baselines_in(summary), summary["copies"][:1]
    comparable = [] if baselines == copies else baselines  # else one column would say it twice
    by = "difference" if measure.unit == "dB" else "ratio"
    halves = divided["halves"]
    others = {row: [*([baseline_of(summary, row)] if comparable else []), *copies] for row in summary["rows"]}
    return HalvesTable(
        sentence=harder_half_sentence(divided),
        others=[
            *(["its baseline"] if len(comparable) > 1 else [marked(summary, row) for row in comparable]),
            *(marked(summary, row) for row in copies),
        ],
        by=by,
        halves=[HalfHead(name=name, queries=half["queries"]) for name, half in halves.items()],
        rows=[
            HalvesLine(
                name=marked(summary, row),
                baseline=row == summary["baseline"] or row in baselines,
                cells=[_half_cell(half["rows"].get(row), others[row], by, measure.digits) for half in halves.values()],
            )
            for row in summary["rows"]
            if any(row in half["rows"] for half in halves.values())
        ],
    )


def _half_cell(row: HalfRowRecord | None, others: Sequence[str | None], by: str, digits: int) -> HalfCell:
    against = row["against"] if row is not None else {}
    pairs = [against.get(other) if other is not None else None for other in others]
    return {
        **mean_cell(row, digits),
        "n": row["n"] if row is not None else 0,
        "against": [_against_cell(pair, by, digits) for pair in pairs],
    }


def _against_cell(pair: HalfPairRecord | None, by: str, digits: int) -> AgainstCell:
    if pair is None:
        return AgainstCell(value="", interval="")
    if by == "difference":
        within = interval(pair["low"], pair["high"], digits, sign=True)
        return AgainstCell(value=number(pair["difference"], digits, sign=True), interval=within)
    return AgainstCell(value=number(pair["ratio"], 3), interval=interval(pair["ratio_low"], pair["ratio_high"], 3))


def seeds_table(summary: Summary) -> SeedsTable | None:
    """Return what each seed gave by itself on the main metric; None for a summary that is not of several seeds."""
    seeds = summary.get("seeds")
    if not seeds:
        return None
    measure = measure_of(summary, summary["metric"])
    by = "difference" if measure.unit == "dB" else "ratio"
    rows = []
    for row, metrics in seeds["rows"].items():
        entry = metrics.get(measure.name)
        if entry is not None:
            against = (
                [number(value, measure.digits, sign=True) for value in entry["differences"]]
                if by == "difference"
                else [number(value, 3) for value in entry["ratios"]]
            )
            means = [number(mean, measure.digits) for mean in entry["means"]]
            cells = [
                SeedCell(mean=mean, against="" if value == NOTHING else value)
                for mean, value in zip(means, against, strict=True)
            ]
            sd = number(entry["sd"], measure.digits + 1)
            rows.append(SeedsLine(name=marked(summary, row), cells=cells, sd=sd))
    return SeedsTable(labels=seeds["labels"], by=by, rows=rows)


def sets_table(summary: Summary) -> SetsTable | None:
    """Return what metrics of sets say of all scenes together; None where there is no such metric."""
    sets = summary.get("sets")
    if not sets:
        return None
    measures = read_measures(sets["measures"])
    rows = [
        SetsLine(name=name, cells=[_set_cell(of_row.get(metric), each.digits) for metric, each in measures.items()])
        for name, of_row in sets["rows"].items()
    ]
    return SetsTable(labels=[measure.label for measure in measures.values()], rows=rows)


def _set_cell(record: SetLineRecord | None, digits: int) -> SetCell:
    n = "" if record is None else f"n = {record['outputs']}, {record['real']} real"
    return SetCell(**compared_cell(record, digits), n=n)


def set_words(cell: SetCell) -> str:
    """Return a number of a set in one line: its interval, its difference from the baseline's, and its n."""
    return compared_words(cell) + (f" [{cell['n']}]" if cell["n"] else "")


def rank_tables(summary: Summary) -> RankTable | None:
    """Return the mean ranks, best first by the last column that has the row; None where nothing is ranked.

    A column is called "after 5 steps", or "mean rank" where there is one.
    """
    rankings = summary.get("ranks")
    if not rankings:
        return None
    names: dict[str, list[RankCell]] = {}
    for place, ranking in enumerate(rankings):
        best = min(ranking["ranks"].values())
        for row, rank in ranking["ranks"].items():
            name = marked(summary, ranking["names"][row])
            cells = names.setdefault(name, [RankCell(rank=NOTHING, best=False) for _ in rankings])
            cells[place] = RankCell(rank=f"{rank:.2f}", best=rank == best)
    columns = ["mean rank" if ranking["steps"] is None else f"after {steps(ranking['steps'])}" for ranking in rankings]
    order = sorted(names, key=lambda name: [float(c["rank"]) for c in names[name][::-1] if c["rank"] != NOTHING])
    rows = [RankLine(name=name, cells=names[name]) for name in order]
    return RankTable(columns=columns, rows=rows, sentences=rank_sentences(rankings))
