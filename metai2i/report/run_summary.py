"""What the numbers of a run say, compared as its recipe wants."""

from __future__ import annotations

from collections.abc import Mapping

from metai2i.errors import UserError
from metai2i.metrics.display import DESCRIPTORS
from metai2i.report.adaptation_curves import tell_trade_offs
from metai2i.report.best_of_groups import tell_best
from metai2i.report.by_scene import tell_by_scene
from metai2i.report.factors import tell_factors
from metai2i.report.harder_half import harder_half
from metai2i.report.sets_together import image_counts, tell_sets
from metai2i.report.supports import draws_of_row, shots_of
from metai2i.report.wording import crossed_shots, crossing_note, leaking_note
from metai2i.run_folder.reader import Run, mapping
from metai2i.statistics import Summary, baseline_of, measure_of, summarise


def summarise_run(run: Run) -> Summary:
    """Return the statistics of a run, compared as its recipe says (`metai2i.statistics.summarise`).

    A baseline or metric without any number yet (a run that was stopped) is told in the notes.
    """
    baseline, baselines, metric = run.baseline, run.baselines, run.metric
    measured = {record.metric for record in run.records} - DESCRIPTORS
    notes = []
    if metric is not None and metric not in measured and measured:
        notes.append(f"The main metric {metric!r} of the recipe was not measured.")
        metric = None
    if baseline is not None and baseline not in run.rows:
        notes.append(f"The baseline {baseline!r} of the recipe is not a row, so nothing is compared with it.")
        baseline = None
    for row, named_baseline in list(baselines.items()):
        if named_baseline not in run.rows or named_baseline == row:
            notes.append(
                f"The baseline {named_baseline!r} of {row} is not another row, so it is compared as if it named none."
            )
            del baselines[row]
    if not run.records:
        raise UserError("there is no number in it: no test task has been evaluated yet", where=run.path / "results.csv")
    sources = {row: [(run, row)] for row in run.rows}
    counts = image_counts(sources)
    summary = summarise(run.records, run.rows, baseline, metric, run.measures, baselines=baselines, counts=counts)
    sources = {row: sources[row] for row in summary["rows"]}
    tell_kinds(summary, {row: (run, row) for row in sources})
    tell_sets(summary, sources, {row: baseline_of(summary, row) for row in sources})
    tell_by_scene(summary, run.records, run.provenance.sets, {row: draws_of_row(run, row) for row in summary["rows"]})
    summary["harder_half"] = harder_half(run.records, summary)
    tell_trade_offs(summary, run.records, sources)
    tell_factors(summary, sources)
    summary["notes"] += notes
    tell_best(summary, {run.name: run}, run.records, run.measures)
    tell_warnings(summary, {"": run})
    return summary


def tell_warnings(summary: Summary, runs: Mapping[str, Run]) -> None:
    """Write into the notes of a summary what stages have warned of, and which rows lose to copying.

    Args:
        summary: of one or several runs.
        runs: by what they are called there; a single one needs no name.
    """
    warnings = [f"{label}: {text}" if label else text for label, run in runs.items() for text in _warnings(run)]
    summary["notes"] += [*warnings, *_worse_than_copying(summary)]


def tell_kinds(summary: Summary, rows: Mapping[str, tuple[Run, str]]) -> None:
    """Put into a summary which rows hand back a support image (`copies`), which are shown what they are to predict
    (`leaking`, with a note), and how many pairs each adapts to (`shots`, with a note where comparisons cross them).

    Args:
        summary: of one or several runs.
        rows: its rows, each with the run that it is of and what it is called there.
    """
    summary["copies"] = [name for name, (run, row) in rows.items() if _strategy(run, row) == "copy"]
    summary["leaking"] = [name for name, (run, row) in rows.items() if _leaks(run, row)]
    if summary["leaking"]:
        summary["notes"].append(leaking_note(summary["leaking"]))
    summary["shots"] = {name: shots_of(run, row) for name, (run, row) in rows.items()}
    crossing = [row for row in summary["against"] if crossed_shots(summary, row)]
    if crossing:
        summary["notes"].append(crossing_note(summary, crossing))


def _warnings(run: Run) -> list[str]:
    """Return what stages have warned of, each with its rows."""
    return [
        f"{stage.name} ({', '.join(stage.rows)}): {warning}."
        for stage in run.provenance.stages
        for warning in stage.warnings
    ]


def _worse_than_copying(summary: Summary) -> list[str]:
    """Return rows that lose to handing back the most similar support image unchanged: nobody may do so unnoticed."""
    metric, rows = summary["metric"], summary["rows"]
    if metric in summary["uneven"]:
        return []
    measure = measure_of(summary, metric)
    scores = {row: rows[row][metric]["mean"] for row in rows if metric in rows[row]}
    means = {row: mean for row, mean in scores.items() if mean is not None}
    notes = []
    for copy in (row for row in summary["copies"] if row in means):
        sign = -1 if measure.higher_is_better else 1
        others = [row for row, mean in means.items() if sign * (mean - means[copy]) > 0]
        if others and measure.higher_is_better is not None:
            worse = f"Worse in {measure.title} than {copy}, which hands back a support image unchanged"
            notes.append(f"{worse}: {', '.join(others)}.")
    return notes


def _strategy(run: Run, row: str) -> object:
    strategy = mapping(run.section(row).get("strategy")).get("use")
    return strategy or mapping(run.recipe.get("strategy")).get("use")


def _leaks(run: Run, row: str) -> bool:
    """Return whether a row's references are made of what is to be predicted; the provenance knows who has references.

    Who hands back a support image looks at no reference.
    """
    test_reference = mapping(run.section(row).get("reference")).get("test")
    asked = (test_reference or mapping(run.recipe.get("reference")).get("test")) == "target"
    return asked and _strategy(run, row) != "copy" and run.provenance.refers(row)
