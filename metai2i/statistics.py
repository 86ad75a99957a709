"""What a table may claim: means with intervals, and paired comparisons with baselines.

The unit is the test task: the queries of one task are averaged first, because images of one scene are no independent
samples. All rows are measured on one fixed list of tasks, so rows are compared by their differences within tasks.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from metai2i.errors import UserError, did_you_mean
from metai2i.measures import DESCRIPTORS, MEASURES, Measure, measure_named, read_measures, tell_measures
from metai2i.results import Record

ENOUGH = 6  # tasks; with fewer the smallest two-sided p of the signed-rank test is above 0.05
LEVEL = 0.95
RESAMPLES = 9999
EXACT_UP_TO = 50  # differences; beyond, the normal approximation of the signed-rank test is as good
SEED = 20240229

Values = Mapping[str, Mapping[str, float]]  # task -> query -> value
Summary = dict[str, Any]
Floats = NDArray[np.float64]


def measure_of(summary: Summary, name: str) -> Measure:
    """How a metric of a summary is read."""
    return measure_named(name, read_measures(summary.get("measures")))


def baseline_of(summary: Summary, row: str) -> str | None:
    """The row that a row of a summary is compared with; None for a row that is compared with nothing."""
    found: str | None = summary["against"].get(row)
    return found


def baselines_in(summary: Summary) -> list[str]:
    """The rows that others are compared with, in the order of the table."""
    named = set(summary["against"].values())
    return [row for row in summary["rows"] if row in named]


def family(summary: Summary, baseline: str) -> list[str]:
    """A baseline and the rows that are compared with it, in the order of the table."""
    return [row for row in summary["rows"] if row == baseline or baseline_of(summary, row) == baseline]


class Estimate(NamedTuple):
    """A mean over tasks with its 95 % t interval; None where there are too few tasks to say."""

    mean: float | None
    low: float | None
    high: float | None
    n: int
    sd: float | None


def mean_interval(values: Sequence[float] | Floats) -> Estimate:
    """Mean, 95 % t interval, number and standard deviation (n - 1 below the line) of one finite number per task."""
    n = len(values)
    if n == 0:
        return Estimate(None, None, None, 0, None)
    mean = float(np.mean(values))
    if n == 1:
        return Estimate(mean, None, None, 1, None)
    sd = float(np.std(values, ddof=1))
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * sd / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n, sd)


def signed_rank_p(differences: Sequence[float] | Floats) -> float | None:
    """Two-sided p of Wilcoxon's signed-rank test; zero differences are dropped, ties get their mean rank.

    Up to 50 differences the distribution of the statistic is enumerated, with its ties; beyond that the normal
    approximation is used. Differences that are all zero give 1, no differences None.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.size == 0:
        return None
    values = values[values != 0]
    if values.size == 0:
        return 1.0
    if values.size > EXACT_UP_TO:
        asymptotic: float = stats.wilcoxon(values, method="asymptotic").pvalue
        return float(asymptotic)
    doubled = np.rint(2 * stats.rankdata(np.abs(values))).astype(np.int64)  # mean ranks are multiples of a half
    ways = np.zeros(int(doubled.sum()) + 1)  # ways[s]: sign patterns whose positive ranks sum to s / 2
    ways[0] = 1
    for rank in doubled:
        ways[rank:] += ways[:-rank].copy()
    positive = int(doubled[values > 0].sum())
    smaller = min(positive, int(doubled.sum()) - positive)
    one_sided: float = float(ways[: smaller + 1].sum()) / 2.0**values.size
    return min(1.0, 2 * one_sided)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction (Scandinavian Journal of Statistics 6, 1979); None stays None and does not count."""
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    running = 0.0
    for done, (p, place) in enumerate(order):
        running = max(running, min(1.0, (len(order) - done) * p))
        corrected[place] = running
    return corrected


def difference_interval(row: Floats, baseline: Floats) -> tuple[float, float] | None:
    """BCa bootstrap interval (95 %) of the mean paired difference; None under two tasks."""
    differences = row - baseline
    if differences.size < 2:
        return None
    if np.ptp(differences) == 0:
        return float(differences[0]), float(differences[0])
    return _bca((differences,), lambda d, axis: d.mean(axis=axis))


def ratio_of_means(row: Floats, baseline: Floats) -> tuple[float | None, tuple[float, float] | None]:
    """Mean of the row over mean of the baseline, with its BCa bootstrap interval (95 %) over tasks.

    The logarithm is bootstrapped, so that exchanging the two rows inverts the interval. There is no ratio unless both
    means are positive, and no interval unless every task's value is.
    """
    if row.size == 0 or row.mean() <= 0 or baseline.mean() <= 0:
        return None, None
    ratio = float(row.mean() / baseline.mean())
    if row.size < 2 or row.min() <= 0 or baseline.min() <= 0:
        return ratio, None
    if np.ptp(row / baseline) <= 1e-12 * ratio:
        return ratio, (ratio, ratio)
    interval = _bca((row, baseline), lambda a, b, axis: np.log(a.mean(axis=axis) / b.mean(axis=axis)))
    return ratio, interval and (math.exp(interval[0]), math.exp(interval[1]))


def _bca(data: tuple[Floats, ...], statistic: Any) -> tuple[float, float] | None:
    # scipy has renamed the argument; the same seed everywhere means the same resampled tasks for every row.
    name = "rng" if "rng" in inspect.signature(stats.bootstrap).parameters else "random_state"
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        interval = stats.bootstrap(
            data,
            statistic,
            n_resamples=RESAMPLES,
            batch=max(1, 2_000_000 // data[0].size),
            vectorized=True,
            paired=True,
            axis=-1,
            confidence_level=LEVEL,
            method="BCa",
            **{name: np.random.default_rng(SEED)},
        ).confidence_interval
    low, high = float(interval.low), float(interval.high)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


class Pair(NamedTuple):
    """One row against its baseline, over the tasks that both have.

    Args:
        difference: mean over tasks of (row - baseline), with its interval `low`, `high`.
        ratio: mean of the row over mean of the baseline, with its interval `ratio_low`, `ratio_high`.
        p: two-sided, Wilcoxon's signed-rank test; `p_holm` after Holm's correction over the rows of one metric.
        wins: number of tasks on which the row is better; a tie counts a half.
        n: number of tasks.
        verdict: "better", "worse", "no difference shown", or "no verdict (why)".
    """

    difference: float | None
    low: float | None
    high: float | None
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    p: float | None
    p_holm: float | None
    wins: float | None
    n: int
    verdict: str


def compare(row: Floats, baseline: Floats, higher_is_better: bool | None) -> Pair:
    """A row against its baseline: one finite number per task each, the same tasks in the same order.

    `p_holm` is `p`, as for a single comparison, and the verdict follows from it.
    """
    differences = row - baseline
    low, high = difference_interval(row, baseline) or (None, None)
    ratio, ratio_interval = ratio_of_means(row, baseline)
    wins = None
    if higher_is_better is not None:
        better = differences > 0 if higher_is_better else differences < 0
        wins = float(better.sum() + 0.5 * (differences == 0).sum())
    p = signed_rank_p(differences)
    pair = Pair(
        difference=float(differences.mean()) if differences.size else None,
        low=low,
        high=high,
        ratio=ratio,
        ratio_low=ratio_interval[0] if ratio_interval else None,
        ratio_high=ratio_interval[1] if ratio_interval else None,
        p=p,
        p_holm=p,
        wins=wins,
        n=int(differences.size),
        verdict="",
    )
    return pair._replace(verdict=verdict(pair, higher_is_better))


def verdict(pair: Pair, higher_is_better: bool | None) -> str:
    """What the numbers allow to say.

    A difference is shown where the corrected p is below 0.05 and the interval of the mean difference lies on one side
    of zero: the test is about ranks, the table about means, and a claim needs both.
    """
    if pair.n < ENOUGH:
        return f"no verdict (n < {ENOUGH})"
    if pair.p_holm is None or pair.low is None or pair.high is None:
        return "no verdict (no interval)"
    if pair.p_holm >= 1 - LEVEL or pair.low <= 0 <= pair.high:
        return "no difference shown"
    higher = pair.low > 0
    if higher_is_better is None:
        return "higher" if higher else "lower"
    return "better" if higher == higher_is_better else "worse"


def summarise(
    records: Iterable[Record],
    rows: Sequence[str],
    baseline: str | None,
    metric: str | None,
    measures: Mapping[str, Measure] = MEASURES,
    *,
    baselines: Mapping[str, str] = {},
) -> Summary:
    """Everything that a table or a report says, as JSON holds it (no NaN, no infinity: None).

    Values that are not finite are left out, in a comparison on both sides, and such a comparison gets no verdict: a
    row that fails on its hardest tasks must not look better for it. `notes` tells of every such thing.

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

    Returns:
        `rows`: row -> metric -> {mean, low, high, n, sd, left_out}; `pairs`: row -> metric -> the fields of `Pair` and
        win_rate; `against`: row -> its baseline, for every row in `pairs`; `baseline` (the common one), `metric`,
        `metrics`, `measures`; `tasks`: {ids, hash}; `notes`: sentences.

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
    known = {name: measure_named(name, measures) for name in metrics}
    against = _compared_with(rows, baseline, baselines)
    pairs: dict[str, dict[str, Any]] = {row: {} for row in against}
    for name in metrics:
        compared = _against_baselines({row: table.get((row, name), {}) for row in rows}, against, known[name])
        for row, pair in compared.items():
            pairs[row][name] = pair._asdict() | {"win_rate": _share(pair.wins, pair.n)}
    queries = _queries(table)
    return {
        "baseline": baseline,
        "metric": metric or metrics[0],
        "metrics": metrics,
        "measures": tell_measures(known),
        "tasks": {"ids": sorted(queries), "hash": _hash(queries)},
        "rows": {row: {m: _row_entry(table[row, m]) for m in metrics if (row, m) in table} for row in rows},
        "pairs": pairs,
        "against": against,
        "notes": _notes(table, rows, known, pairs),
    }


def task_means(values: Values) -> dict[str, float]:
    """Task -> mean over those queries whose value is finite; tasks without any are left out."""
    finite = {task: [v for v in queries.values() if math.isfinite(v)] for task, queries in values.items()}
    return {task: sum(numbers) / len(numbers) for task, numbers in finite.items() if numbers}


def _by_row_and_metric(records: Iterable[Record]) -> dict[tuple[str, str], dict[str, dict[str, float]]]:
    table: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for r in records:
        table.setdefault((r.row, r.metric), {}).setdefault(r.task, {})[r.query] = float(r.value)
    return table


def _row_entry(values: Values) -> dict[str, Any]:
    return mean_interval(list(task_means(values).values()))._asdict() | {"left_out": _not_finite(values)}


def _compared_with(rows: Sequence[str], baseline: str | None, baselines: Mapping[str, str]) -> dict[str, str]:
    """Row -> the row that it is compared with, by the rule of `summarise`; rows without one are not in it."""
    for row, own in baselines.items():
        if row not in rows:
            raise UserError(f"{row!r} names a baseline and is not a row", hint=did_you_mean(row, rows))
        if own not in rows or own == row:
            others = [other for other in rows if other != row]
            what = "is the row itself" if own == row else "is not a row"
            raise UserError(f"the baseline {own!r} of {row!r} {what}", hint=did_you_mean(own, others))
    apart = {baseline, *baselines.values()}
    found = {row: baselines.get(row, None if row in apart else baseline) for row in rows}
    return {row: other for row, other in found.items() if other is not None}


def _against_baselines(values: Mapping[str, Values], against: Mapping[str, str], metric: Measure) -> dict[str, Pair]:
    """Every row against its baseline on one metric, corrected by Holm's method over all of them, with verdicts."""
    pairs: dict[str, Pair] = {}
    left_out: dict[str, int] = {}
    for row, baseline in against.items():
        a, b, left_out[row] = common_task_means(values[row], values[baseline])
        pairs[row] = compare(a, b, metric.higher_is_better)
    corrected = holm([pair.p for pair in pairs.values()])
    for (row, pair), p_holm in zip(list(pairs.items()), corrected, strict=True):
        final = pair._replace(p_holm=p_holm)
        unsaid = f"no verdict ({_count(left_out[row])} not finite)" if left_out[row] else None
        pairs[row] = final._replace(verdict=unsaid or verdict(final, metric.higher_is_better))
    return pairs


def common_task_means(row: Values, baseline: Values) -> tuple[Floats, Floats, int]:
    """Task means of both over the queries that both have, and how many of these were left out as not finite."""
    left, right, left_out = [], [], 0
    for task in sorted(row.keys() & baseline.keys()):
        queries = sorted(row[task].keys() & baseline[task].keys())
        finite = [q for q in queries if math.isfinite(row[task][q]) and math.isfinite(baseline[task][q])]
        left_out += len(queries) - len(finite)
        if finite:
            left.append(sum(row[task][q] for q in finite) / len(finite))
            right.append(sum(baseline[task][q] for q in finite) / len(finite))
    return np.array(left), np.array(right), left_out


def _queries(table: Mapping[tuple[str, str], Values]) -> dict[str, set[str]]:
    queries: dict[str, set[str]] = {}
    for values in table.values():
        for task, numbers in values.items():
            queries.setdefault(task, set()).update(numbers)
    return queries


def _hash(queries: Mapping[str, set[str]]) -> str:
    lines = [repr((task, sorted(queries[task]))) for task in sorted(queries)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _not_finite(values: Values) -> int:
    return sum(not math.isfinite(v) for queries in values.values() for v in queries.values())


def _share(wins: float | None, n: int) -> float | None:
    return wins / n if wins is not None and n else None


def _notes(
    table: Mapping[tuple[str, str], Values],
    rows: Sequence[str],
    measures: Mapping[str, Measure],
    pairs: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> list[str]:
    notes = []
    all_queries = _queries(table)
    for row in rows:
        mine = _queries({key: values for key, values in table.items() if key[0] == row})
        missing = sorted(task for task, queries in all_queries.items() if mine.get(task) != queries)
        if len(missing) == len(all_queries) and not mine:
            notes.append(f"{row} has no numbers: it has not been evaluated.")
        elif missing:
            few = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            notes.append(
                f"{row} is incomplete: {len(missing)} of {len(all_queries)} tasks are missing or lack queries ({few}). "
                "Its mean is over the others; comparisons are over what both rows have."
            )
    for name, measure in measures.items():
        for row in rows:
            if left_out := _not_finite(table.get((row, name), {})):
                notes.append(_left_out_note(row, measure, table[row, name], left_out))
            if lacking := _lacking(table, row, name):
                queries = "1 query" if lacking == 1 else f"{lacking} queries"
                notes.append(f"{measure.title} of {row} could not be measured on {queries} where other rows have it.")
        tested = [pair[name]["n"] for pair in pairs.values() if name in pair and pair[name]["n"]]
        smallest = len(tested) * 2.0 ** (1 - max(tested, default=0))  # that Holm's correction leaves, all signs equal
        if name == next(iter(measures)) and max(tested, default=0) >= ENOUGH and smallest >= 1 - LEVEL:
            notes.append(
                f"With {max(tested)} test tasks and {len(tested)} comparisons no p can fall below 0.05 after Holm's "
                "correction: showing a difference takes more test tasks, or fewer rows."
            )
    return notes


def _lacking(table: Mapping[tuple[str, str], Values], row: str, name: str) -> int:
    """On how many queries that the row was scored on others have this metric and it has not."""
    if (row, name) not in table:
        return 0
    scored = _queries({key: values for key, values in table.items() if key[0] == row})
    others = _queries({key: values for key, values in table.items() if key[1] == name})
    own = table[row, name]
    return sum(len(scored[task] & others.get(task, set()) - own.get(task, {}).keys()) for task in scored)


def _left_out_note(row: str, measure: Measure, values: Values, left_out: int) -> str:
    numbers = [v for queries in values.values() for v in queries.values()]
    infinite = sum(math.isinf(v) for v in numbers)
    why = "infinite" if infinite == left_out else "not a number" if not infinite else "infinite or not a number"
    because = ", because images are identical" if measure.name == "psnr" and math.inf in numbers else ""
    are, they = ("is", "It is") if left_out == 1 else ("are", "They are")
    what = f"{measure.title} of {row}: {left_out} of {len(numbers)} values {are} {why}{because}."
    return f"{what} {they} left out of its mean."


def _count(values: int) -> str:
    return "1 value is" if values == 1 else f"{values} values are"
