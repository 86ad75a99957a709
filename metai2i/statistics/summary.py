"""Everything that a table or a report says of a run's numbers, as JSON holds it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from metai2i.errors import UserError, did_you_mean
from metai2i.metrics.display import (
    DESCRIPTORS,
    MEASURES,
    ImageCounts,
    MetricInfo,
    info_of,
    read_measures,
    tell_measures,
)
from metai2i.run_folder.results import ALL_TASKS, Record
from metai2i.statistics.intervals import mean_interval
from metai2i.statistics.notes import not_finite, notes_on, queries_of, uneven_note
from metai2i.statistics.records import MeanRecord, PairRecord, Summary, TaskListRecord
from metai2i.statistics.significance import OTHER_COUNTS, RowComparison, compare, holm, verdict
from metai2i.statistics.values import Values, common_task_means, task_means


def measure_of(summary: Summary, name: str) -> MetricInfo:
    """Return how a metric of a summary is read."""
    return info_of(name, read_measures(summary.get("measures")))


def baseline_of(summary: Summary, row: str) -> str | None:
    """Return the row that a row of a summary is compared with; None for a row that is compared with nothing."""
    return summary["against"].get(row)


def baselines_in(summary: Summary) -> list[str]:
    """Return the rows that others are compared with, in the order of the table."""
    named = set(summary["against"].values())
    return [row for row in summary["rows"] if row in named]


def family(summary: Summary, baseline: str) -> list[str]:
    """Return a baseline and the rows that are compared with it, in the order of the table."""
    return [row for row in summary["rows"] if row == baseline or baseline_of(summary, row) == baseline]


def summarise(
    records: Iterable[Record],
    rows: Sequence[str],
    baseline: str | None,
    metric: str | None,
    measures: Mapping[str, MetricInfo] = MEASURES,
    *,
    baselines: Mapping[str, str] = {},
    counts: Mapping[str, Mapping[str, ImageCounts]] = {},
) -> Summary:
    """Return everything that a table or a report says, as JSON holds it (no NaN, no infinity: None).

    Values that are not finite are left out, in a comparison on both sides, and such a comparison gets no verdict: a
    row that fails on its hardest tasks must not look better for it. By a metric that depends on how many images it is
    of (`by_count`) rows with other numbers of them are not compared. `notes` tells of every such thing.

    What a row is compared with: a row that names a baseline of its own, with that one. A row that others name and that
    names none is a baseline and is compared with nothing. Every other row is compared with the common baseline, which
    itself, unless it names one, is compared with nothing.

    Args:
        records: all numbers; a row that is not in `rows` is an error.
        rows: the rows in the order in which they are shown; those without numbers are noted as missing.
        baseline: the common baseline; None for none.
        metric: the main metric; None for lpips, or the first there is.
        measures: how metrics are read; the core's own are known anyway.
        baselines: row -> its own baseline, for the rows that name one.
        counts: row -> metric -> how many images a metric of sets is of.

    Returns:
        what `Summary` requires; `baseline` is the common one, and `against` has every row that is in `pairs`.

    Raises:
        UserError: there are no numbers, `metric` is not among them, a baseline is not a row, or a row is its own.
    """
    table = _by_row_and_metric(record for record in records if record.metric not in DESCRIPTORS)
    metrics = list(dict.fromkeys(name for _, name in table))
    metrics = [name for name in MEASURES if name in metrics] + [name for name in metrics if name not in MEASURES]
    if not metrics:
        raise UserError("there are no numbers to summarise: no task has been evaluated yet")
    if unknown := {row for row, _ in table} - set(rows):
        raise UserError(f"numbers of rows that are not in the table: {', '.join(sorted(unknown))}")
    if metric is not None and metric not in metrics:
        raise UserError(f"no number was measured with the metric {metric!r}", hint=did_you_mean(metric, metrics))
    if baseline is not None and baseline not in rows:
        raise UserError(f"the baseline {baseline!r} is not a row", hint=did_you_mean(baseline, rows))
    known = {name: info_of(name, measures) for name in metrics}
    against = compared_with(rows, baseline, baselines)
    pairs: dict[str, dict[str, PairRecord]] = {row: {} for row in against}
    of_sets = {name: {row: counts[row][name] for row in rows if name in counts.get(row, {})} for name in metrics}
    uneven = {name: of for name, of in of_sets.items() if known[name].by_count and len(set(of.values())) > 1}
    for name in metrics:
        values = {row: table.get((row, name), {}) for row in rows}
        compared = _against_baselines(values, against, known[name], uneven.get(name, {}))
        for row, pair in compared.items():
            pairs[row][name] = pair.record()
    queries = queries_of(table)
    return Summary(
        baseline=baseline,
        metric=metric or metrics[0],
        metrics=metrics,
        measures=tell_measures(known),
        tasks=TaskListRecord(ids=sorted(queries), hash=_hash(queries)),
        rows={row: {m: _row_entry(table[row, m]) for m in metrics if (row, m) in table} for row in rows},
        pairs=pairs,
        against=against,
        notes=[*notes_on(table, rows, known, pairs), *(uneven_note(known[name], of) for name, of in uneven.items())],
        uneven=list(uneven),
    )


def _by_row_and_metric(records: Iterable[Record]) -> dict[tuple[str, str], dict[str, dict[str, float]]]:
    table: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for r in records:
        if r.task != ALL_TASKS:
            table.setdefault((r.row, r.metric), {}).setdefault(r.task, {})[r.query] = float(r.value)
    return table


def _row_entry(values: Values) -> MeanRecord:
    return {**mean_interval(list(task_means(values).values())).record(), "left_out": not_finite(values)}


def compared_with(rows: Sequence[str], baseline: str | None, baselines: Mapping[str, str]) -> dict[str, str]:
    """Return row -> the row that it is compared with, by the rule of `summarise`; rows without one are not in it.

    Raises:
        UserError: when a baseline is not a row, or a row is its own.
    """
    for row, named in baselines.items():
        if row not in rows:
            raise UserError(f"{row!r} names a baseline and is not a row", hint=did_you_mean(row, rows))
        if named not in rows or named == row:
            others = [other for other in rows if other != row]
            what = "is the row itself" if named == row else "is not a row"
            raise UserError(f"the baseline {named!r} of {row!r} {what}", hint=did_you_mean(named, others))
    apart = {baseline, *baselines.values()}
    compared = {row: baselines.get(row, None if row in apart else baseline) for row in rows}
    return {row: other for row, other in compared.items() if other is not None}


def _against_baselines(
    values: Mapping[str, Values], against: Mapping[str, str], metric: MetricInfo, counts: Mapping[str, ImageCounts]
) -> dict[str, RowComparison]:
    """Return every row against its baseline on one metric, corrected by Holm's method over all of them, with
    verdicts.

    Args:
        values: of each row.
        against: row -> its baseline.
        metric: how it is read.
        counts: of which numbers of images rows are, where these must be equal.
    """
    pairs: dict[str, RowComparison] = {}
    unsaid: dict[str, str] = {}
    for row, baseline in against.items():
        a, b, left_out = common_task_means(values[row], values[baseline])
        if {row, baseline} <= counts.keys() and counts[row] != counts[baseline]:
            a, b, unsaid[row] = a[:0], b[:0], OTHER_COUNTS
        elif left_out:
            unsaid[row] = f"no verdict ({_count(left_out)} not finite)"
        pairs[row] = compare(a, b, metric.higher_is_better)
    corrected = holm([pair.p for pair in pairs.values()])
    for (row, pair), p_holm in zip(list(pairs.items()), corrected, strict=True):
        final = pair._replace(p_holm=p_holm)
        pairs[row] = final._replace(verdict=unsaid.get(row) or verdict(final, metric.higher_is_better))
    return pairs


def _hash(queries: Mapping[str, set[str]]) -> str:
    lines = [repr((task, sorted(queries[task]))) for task in sorted(queries)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _count(values: int) -> str:
    return "1 value is" if values == 1 else f"{values} values are"
