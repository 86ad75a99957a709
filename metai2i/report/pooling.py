"""Runs of one recipe with several seeds, pooled: rows of the same name are averaged, task by task, over the runs.

The unit of the statistics stays the test task: its value for a row is the mean over seeds, and rows are compared seed
by seed on the same queries. So the intervals say how far the result holds for other tasks, for these seeds. How much
another training would change is told beside them, by what each seed gave alone.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from metai2i.errors import UserError, did_you_mean
from metai2i.registry.problems import show
from metai2i.report.adaptation_curves import tell_trade_offs
from metai2i.report.best_of_groups import tell_best
from metai2i.report.comparison import Comparison, chosen_metric, labels_of, shared_measures
from metai2i.report.factors import tell_factors
from metai2i.report.harder_half import harder_half
from metai2i.report.run_summary import tell_kinds, tell_warnings
from metai2i.report.same_recipe import first_difference
from metai2i.report.sets_together import Lines, image_counts, tell_sets
from metai2i.run_folder.reader import Run, load_run
from metai2i.statistics import (
    BySeedRecord,
    SeedsRecord,
    Summary,
    baseline_of,
    common_task_means,
    summarise,
    task_means,
    values_by_task,
)


def pool_seeds(paths: Sequence[Path], *, metric: str | None = None, baseline: str | None = None) -> Comparison:
    """Pool the runs of one recipe over their seeds.

    Args:
        paths: the folders of at least two runs.
        metric: the main metric; None for that of the recipe.
        baseline: the row that all others are compared with; None for those of the recipe of the first run.

    Returns:
        One table whose rows are those of the recipe. Its summary has `seeds` besides, what each seed gave alone.

    Raises:
        UserError: a folder cannot be read, the runs are not of one recipe and of different seeds, or were not measured
            on the same test tasks, or `metric` or `baseline` is not there.
    """
    if len(paths) < 2:
        raise UserError(f"{len(paths)} run is given, expected two or more")
    runs = dict(zip(labels_of(paths), [load_run(path) for path in paths], strict=True))
    seeds = _seeds(runs)
    for label, other in combinations(runs, 2):
        _same_recipe(label, runs[label], other, runs[other])
        _same_tasks(label, runs[label], other, runs[other])
    labels = {label: f"seed {seeds[label]}" for label in runs}
    records = [r._replace(query=f"{labels[label]}: {r.query}") for label, run in runs.items() for r in run.records]
    first = next(iter(runs.values()))
    baselines = {} if baseline else first.baselines
    baseline = baseline or first.baseline
    if baseline is not None and baseline not in first.rows:
        raise UserError(f"no row is called {baseline!r}", hint=did_you_mean(baseline, first.rows))
    main, measures = chosen_metric(runs, metric), shared_measures(runs)
    counts = image_counts({row: [(run, row) for run in runs.values()] for row in first.rows})
    summary = summarise(records, first.rows, baseline, main, measures, baselines=baselines, counts=counts)
    tell_kinds(summary, {row: (first, row) for row in summary["rows"]})
    tell_sets(summary, *_lines_by_seed(summary, {labels[label]: run for label, run in runs.items()}))
    summary["harder_half"] = harder_half(records, summary)
    sources = {row: [(run, row) for run in runs.values()] for row in summary["rows"]}
    tell_trade_offs(summary, records, sources)
    tell_factors(summary, sources)
    tell_best(summary, {labels[label]: run for label, run in runs.items()}, records, measures)
    tell_warnings(summary, {labels[label]: run for label, run in runs.items()})
    summary["seeds"] = SeedsRecord(
        labels=list(labels.values()), rows={row: _by_seed(runs, row, summary) for row in summary["rows"]}
    )
    summary["notes"].append(
        f"Every value is the mean over {len(runs)} seeds. Intervals and tests are over test tasks, for these seeds; "
        "how far the seeds differ is told by what each gave alone."
    )
    summary["notes"] += _different_data(runs)
    return Comparison(f"{first.name}, {len(runs)} seeds", runs, records, summary)


def _seeds(runs: Mapping[str, Run]) -> dict[str, object]:
    seeds = {label: run.recipe.get("seed") for label, run in runs.items()}
    for label, seed in seeds.items():
        if seed is None:
            raise UserError(f"{label} does not say its seed", where=runs[label].path / "recipe.yaml")
    for first, other in combinations(seeds, 2):
        if seeds[first] == seeds[other]:
            raise UserError(
                f"{first} and {other} have the same seed, {seeds[first]}",
                hint="a seed counts once: metai2i run RECIPE seed=1 --out runs/NAME-1",
            )
    return seeds


def _same_recipe(label: str, run: Run, other_label: str, other: Run) -> None:
    """Refuse runs whose recipes differ in more than what decides no number, or the seed."""
    if differing := sorted(set(run.rows) ^ set(other.rows)):
        raise UserError(f"{label} and {other_label} do not have the same rows: only one has {', '.join(differing)}")
    place = first_difference(run, other)
    if place is not None:
        path, ours, theirs = place
        raise UserError(
            f"{label} and {other_label} are not runs of one recipe: {path} is {show(ours)} and {show(theirs)}",
            hint="runs that differ in more than the seed are compared without --pool",
        )


def _same_tasks(label: str, run: Run, other_label: str, other: Run) -> None:
    ours, theirs = {r.task for r in run.records}, {r.task for r in other.records}
    if ours != theirs:
        few = sorted(ours ^ theirs)
        listed = ", ".join(few[:3]) + (f" and {len(few) - 3} more" if len(few) > 3 else "")
        raise UserError(f"{label} and {other_label} were not measured on the same test tasks: only one has {listed}")


def _different_data(runs: Mapping[str, Run]) -> list[str]:
    prints = {run.provenance.data.fingerprint for run in runs.values()}
    return ["The runs differ in their data (data.fingerprint)."] if len(prints) > 1 else []


def _lines_by_seed(summary: Summary, seeds: Mapping[str, Run]) -> tuple[Lines, dict[str, str | None]]:
    """Return the lines of a table of each row with each seed and of its mean over them, and which is compared with
    which.
    """
    parts = {seed: [run] for seed, run in seeds.items()} | {f"mean of {len(seeds)} seeds": [*seeds.values()]}
    names = [(row, part) for row in summary["rows"] for part in parts]
    baselines = {row: baseline_of(summary, row) for row in summary["rows"]}
    return (
        {f"{row}, {part}": [(run, row) for run in parts[part]] for row, part in names},
        {f"{row}, {part}": f"{baselines[row]}, {part}" if baselines[row] else None for row, part in names},
    )


def _by_seed(runs: Mapping[str, Run], row: str, summary: Summary) -> dict[str, BySeedRecord]:
    records: dict[str, BySeedRecord] = {}
    baseline = baseline_of(summary, row)
    for metric in summary["rows"][row]:
        values = [values_by_task(run.records, metric) for run in runs.values()]
        means = [_mean(task_means(seed_records.get(row, {})).values()) for seed_records in values]
        pair = summary["pairs"].get(row, {}).get(metric)
        other = baseline if pair is not None and pair["n"] else None  # they may not be compared by it
        pairs = [
            common_task_means(seed_records.get(row, {}), seed_records.get(other, {}) if other else {})
            for seed_records in values
        ]
        known = [mean for mean in means if mean is not None]
        records[metric] = BySeedRecord(
            means=means,
            ratios=[_ratio(_mean(a), _mean(b)) for a, b, _ in pairs],
            differences=[_mean(a - b) for a, b, _ in pairs],
            sd=statistics.stdev(known) if len(known) > 1 else None,
        )
    return records


def _mean(values: Iterable[float]) -> float | None:
    numbers = [float(value) for value in values]
    return statistics.fmean(numbers) if numbers else None


def _ratio(row: float | None, baseline: float | None) -> float | None:
    return row / baseline if row is not None and baseline is not None and row > 0 and baseline > 0 else None
