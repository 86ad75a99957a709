"""Rows of several runs in one table: only where all were measured on the same test tasks."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from metai2i.errors import UserError, did_you_mean
from metai2i.files import write_text
from metai2i.metrics.display import DESCRIPTORS, MetricInfo
from metai2i.report.adaptation_curves import tell_trade_offs
from metai2i.report.factors import tell_factors
from metai2i.report.harder_half import harder_half
from metai2i.report.page import render, statistics_context
from metai2i.report.run_summary import tell_kinds, tell_warnings
from metai2i.report.same_recipe import differ_by_seed_alone
from metai2i.report.sets_together import image_counts, tell_sets
from metai2i.run_folder.reader import Run, load_run
from metai2i.run_folder.results import Record, as_csv, of_a_set
from metai2i.statistics import MeanRecord, PairRecord, Summary, baseline_of, summarise

Queries = set[tuple[str, str]]
MEAN_COLUMNS = ("mean", "low", "high", "n", "sd", "left_out")
PAIR_COLUMNS = (
    *("difference", "difference_low", "difference_high", "ratio", "ratio_low", "ratio_high"),
    *("p", "p_holm", "wins", "verdict"),
)


class Comparison(NamedTuple):
    """Several runs as one table.

    Args:
        title: of its page.
        runs: label -> run.
        records: all numbers; their rows are called "RUN: ROW", or, pooled, as in the recipe.
        summary: as `metai2i.statistics.summarise` makes it.
    """

    title: str
    runs: Mapping[str, Run]
    records: list[Record]
    summary: Summary


def compare_runs(paths: Sequence[Path], *, metric: str | None = None, baseline: str | None = None) -> Comparison:
    """Put the rows of several runs into one table.

    Args:
        paths: the folders of at least two runs.
        metric: the main metric; None for that of the first run's recipe.
        baseline: "RUN/ROW", or a row's name that only one run has, for all others. None for the baseline of the first
            run, or its first row; rows that name their own keep it, as their run has it.

    Raises:
        UserError: a folder cannot be read, the runs were not measured on the same test tasks and queries (the message
            names those that differ), or `metric` or `baseline` is not there.
    """
    if len(paths) < 2:
        raise UserError(f"{len(paths)} run is given, expected two or more")
    runs = dict(zip(labels_of(paths), [load_run(path) for path in paths], strict=True))
    labels = list(runs)
    for label in labels[1:]:
        _same_tasks(labels[0], runs[labels[0]], label, runs[label])
    records = [r._replace(row=f"{label}: {r.row}") for label, run in runs.items() for r in run.records]
    names = {f"{label}: {row}": (label, row) for label, run in runs.items() for row in run.rows}
    metric, common = chosen_metric(runs, metric), _baseline(baseline, runs, names)
    baselines = {} if baseline is not None else _own_baselines(runs)
    sources = {name: [(runs[label], row)] for name, (label, row) in names.items()}
    measures, counts = shared_measures(runs), image_counts(sources)
    summary = summarise(records, list(names), common, metric, measures, baselines=baselines, counts=counts)
    tell_kinds(summary, {name: (runs[label], row) for name, (label, row) in names.items()})
    tell_sets(summary, sources, {name: baseline_of(summary, name) for name in names})
    summary["harder_half"] = harder_half(records, summary)
    tell_trade_offs(summary, records, sources)
    tell_factors(summary, sources)
    tell_warnings(summary, runs)
    summary["notes"] += _different(runs)
    title = " against ".join(runs) if len(runs) == 2 else ", ".join(runs)
    return Comparison(title, runs, records, summary)


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write the comparison as a page (`.html`) or a table (`.csv`: a line per row and metric), by the file's suffix.

    Raises:
        UserError: for another suffix, or where there is no such folder.
    """
    check_comparison_path(path)
    if path.suffix.lower() == ".csv":
        write_text(path, _csv(comparison.summary))
        return
    context = statistics_context(comparison.title, comparison.records, comparison.summary)
    runs = [(label, ", ".join([str(run.path), *_about(run)])) for label, run in comparison.runs.items()]
    write_text(path, render(context | {"runs": runs}))


def check_comparison_path(path: Path) -> None:
    """Raise a `UserError` unless a comparison can be written to that path."""
    if path.suffix.lower() not in (".html", ".csv"):
        raise UserError(f"a comparison is written to a .html or a .csv file, got {path.name!r}")
    if not path.parent.is_dir():
        raise UserError("there is no such folder", where=path.parent)


def chosen_metric(runs: Mapping[str, Run], metric: str | None) -> str:
    """Return the main metric of several runs, which all of them must have; None for that of the first run's recipe."""
    measured = [{record.metric for record in run.records} - DESCRIPTORS for run in runs.values()]
    chosen = metric or _default_metric(next(iter(runs.values())), set.intersection(*measured))
    for label, known in zip(runs, measured, strict=True):
        if chosen not in known:
            raise UserError(f"{label} has no number of the metric {chosen!r}", hint=did_you_mean(chosen, known))
    return chosen


def labels_of(paths: Sequence[Path]) -> list[str]:
    """Return what runs are called: by their folders' names, or by the paths where several have the same."""
    names = [path.resolve().name for path in paths]
    full = [str(path) for path in paths]
    if len({path.resolve() for path in paths}) < len(paths):
        raise UserError("the same run is given twice: " + ", ".join(full))
    return [long if names.count(name) > 1 else name for name, long in zip(names, full, strict=True)]


def _same_tasks(first_label: str, first: Run, label: str, run: Run) -> None:
    ours, theirs = _queries(first), _queries(run)
    if ours != theirs:
        raise UserError(
            f"{first_label} and {label} were not measured on the same test tasks and queries: "
            + "; ".join(filter(None, [_only(first_label, ours - theirs), _only(label, theirs - ours)])),
            hint="compare runs with the same tasks, episodes and seed",
        )
    hashes = []
    for named, compared in ((first_label, first), (label, run)):
        value = compared.provenance.data.test_hash
        if not value:
            raise UserError(
                f"{named} does not say which test images it was measured on (data.test_hash)",
                where=compared.path / "provenance.json",
            )
        hashes.append(value)
    if hashes[0] != hashes[1]:
        raise UserError(
            f"{first_label} and {label} were measured on other test images under the same names: "
            f"test_hash is {hashes[0][:12]} and {hashes[1][:12]}",
            hint=_pooling(first, run) or "compare runs with the same data, size, split and seed",
        )


def _pooling(*runs: Run) -> str | None:
    """Return how runs that differ in their seed alone can be put into one table; None for others."""
    if not all(differ_by_seed_alone(*pair) for pair in combinations(runs, 2)):
        return None
    folders = shlex.join(str(run.path) for run in runs)
    return f"they are of one recipe with other seeds: metai2i compare --pool seeds {folders} makes one table of them"


def _different(runs: Mapping[str, Run]) -> list[str]:
    """Return what may make the numbers of runs on the same tasks less comparable than they look."""
    notes = []
    seeds = {label: run.recipe.get("seed") for label, run in runs.items()}
    if len(set(map(str, seeds.values()))) > 1:
        listed = ", ".join(f"{label}: {seed}" for label, seed in seeds.items())
        notes.append(f"The runs differ in the seed ({listed}): other support and query images of the same tasks.")
    if len(seeds) > 1 and (pooling := _pooling(*runs.values())) is not None:
        notes.append(f"{pooling[0].upper()}{pooling[1:]}.")
    prints = {run.provenance.data.fingerprint for run in runs.values()}
    if len(prints) > 1:
        notes.append("The runs differ in their data (data.fingerprint), in what they were trained on or in its size.")
    return notes


def shared_measures(runs: Mapping[str, Run]) -> dict[str, MetricInfo]:
    """Return how the metrics of all runs are read, each as the first run that has it tells."""
    shared: dict[str, MetricInfo] = {}
    for label, run in runs.items():
        for name, measure in run.measures.items():
            if shared.setdefault(name, measure).higher_is_better != measure.higher_is_better:
                raise UserError(
                    f"the runs do not agree on the better side of the metric {name!r}, {label} has the other one",
                    hint="two plugins have metrics of this name: compare runs of the same plugin",
                )
    return shared


def _about(run: Run) -> list[str]:
    facts = [f"seed {run.recipe['seed']}"] if "seed" in run.recipe else []
    known = (("metai2i", run.provenance.metai2i), ("finished", run.provenance.finished))
    return facts + [f"{name} {value}" for name, value in known if value is not None]


def _queries(run: Run) -> Queries:
    return {(record.task, record.query) for record in run.records if not of_a_set(record.query)}


def _only(label: str, queries: Queries) -> str:
    if not queries:
        return ""
    shown = [f"{task} query {query}" for task, query in sorted(queries)[:3]]
    more = f" and {len(queries) - 3} more" if len(queries) > 3 else ""
    return f"only {label} has {', '.join(shown)}{more}"


def _default_metric(first: Run, shared: set[str]) -> str:
    if first.metric in shared and first.metric is not None:
        return first.metric
    if not shared:
        raise UserError("the runs have no metric in common")
    return "lpips" if "lpips" in shared else min(shared)


def _baseline(asked: str | None, runs: Mapping[str, Run], names: Mapping[str, tuple[str, str]]) -> str:
    first = next(iter(runs))
    if asked is None:
        row = runs[first].baseline
        wanted = [name for name, place in names.items() if place == (first, row)]
        return wanted[0] if wanted else next(iter(names))
    full = [name for name, (label, row) in names.items() if asked in (name, f"{label}/{row}")]
    if full:
        return full[0]
    short = [name for name, (_, row) in names.items() if row == asked]
    if len(short) == 1:
        return short[0]
    if short:
        several = ", ".join(repr("{}/{}".format(*names[name])) for name in short)
        raise UserError(f"several runs have a row {asked!r}", hint=f"name one: {several}")
    known = [f"{label}/{row}" for label, row in names.values()]
    raise UserError(f"no run has a row {asked!r}", hint=did_you_mean(asked, [*known, *(r for _, r in names.values())]))


def _own_baselines(runs: Mapping[str, Run]) -> dict[str, str]:
    return {
        f"{label}: {row}": f"{label}: {baseline}"
        for label, run in runs.items()
        for row, baseline in run.baselines.items()
    }


def _csv(summary: Summary) -> str:
    leaking, seeds = summary.get("leaking", ()), summary.get("seeds")
    by_seed = ["seeds", "sd_between_seeds"] if seeds else []
    lines: list[list[object]] = [["row", "metric", *MEAN_COLUMNS, "baseline", *PAIR_COLUMNS, "leaking", *by_seed]]
    for row, metrics in summary["rows"].items():
        for metric, entry in metrics.items():
            pair = summary["pairs"].get(row, {}).get(metric)
            cells = [*_mean_cells(entry), baseline_of(summary, row), *_pair_cells(pair)]
            cells += ["yes" if row in leaking else "no"]
            cells += [len(seeds["labels"]), seeds["rows"][row][metric]["sd"]] if seeds else []
            lines.append([row, metric, *("" if cell is None else cell for cell in cells)])
    return as_csv(lines)


def _mean_cells(mean: MeanRecord) -> list[object]:
    """Return what stands in `MEAN_COLUMNS`."""
    return [mean["mean"], mean["low"], mean["high"], mean["n"], mean["sd"], mean["left_out"]]


def _pair_cells(pair: PairRecord | None) -> list[object]:
    """Return what stands in `PAIR_COLUMNS`; nothing for a row that is compared with none."""
    if pair is None:
        return [None] * len(PAIR_COLUMNS)
    difference = [pair["difference"], pair["low"], pair["high"]]
    ratio = [pair["ratio"], pair["ratio_low"], pair["ratio_high"]]
    return [*difference, *ratio, pair["p"], pair["p_holm"], pair["wins"], pair["verdict"]]
