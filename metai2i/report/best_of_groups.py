"""Best against best: groups of rows, of each the row that was best on validation scenes.

A setting that needs a training of its own (other colours of training scenes, other weights of losses, another length)
is so chosen as a rate is: on validation scenes, by what `tune` has measured there. The report says which row was taken,
and compares those that were.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from metai2i.metrics.display import MetricInfo, info_of
from metai2i.report.sets_together import image_counts
from metai2i.run_folder.reader import Run, mapping
from metai2i.run_folder.results import Record
from metai2i.statistics import BestGroupRecord, BestRecord, Summary, summarise


@dataclass(frozen=True)
class Choice:
    """What was chosen of the groups of a run.

    Args:
        metric: by which.
        scores: group -> row -> its score on validation scenes, with the settings that were chosen there.
        rows: group -> the row of the best score; the first of equals.
    """

    metric: str
    scores: dict[str, dict[str, float]]
    rows: dict[str, str]


def tell_best(
    summary: Summary, runs: Mapping[str, Run], records: Iterable[Record], measures: Mapping[str, MetricInfo]
) -> None:
    """Put into a summary how the best rows of groups compare (`best`), where the recipe names groups (`compare.best`).

    Groups of which a row has no number on validation scenes, as in a run that was stopped, are told in the notes.

    Args:
        summary: of one run, or of several that are pooled.
        runs: of one recipe, by what the queries of `records` begin with where several are pooled; else by any name.
        records: all numbers.
        measures: how metrics are read.
    """
    groups = groups_of(next(iter(runs.values())))
    if len(groups) < 2:
        return
    choices = {label: choice_of(run, groups, measures) for label, run in runs.items()}
    untold = sorted({choice for choice in choices.values() if isinstance(choice, str)})
    known = {label: choice for label, choice in choices.items() if isinstance(choice, Choice)}
    if untold:
        summary["notes"].append(f"Best against best is not told: {'; '.join(untold)}.")
        return
    taken = [
        record._replace(row=group)
        for record in records
        for label, choice in known.items()
        if len(runs) == 1 or record.query.startswith(f"{label}: ")
        for group, row in choice.rows.items()
        if row == record.row
    ]
    baseline, main = next(iter(groups)), summary["metric"]
    lines = {group: [(runs[label], choice.rows[group]) for label, choice in known.items()] for group in groups}
    compared = summarise(taken, list(groups), baseline, main, measures, counts=image_counts(lines))
    summary["best"] = BestRecord(
        runs=list(runs) if len(runs) > 1 else [],
        metric=next(iter(known.values())).metric,
        baseline=baseline,
        groups={
            group: BestGroupRecord(
                chosen=[choice.rows[group] for choice in known.values()],
                validation=[choice.scores[group] for choice in known.values()],
                mean=compared["rows"][group][main],
                against=compared["pairs"].get(group, {}).get(main),
            )
            for group in groups
            if main in compared["rows"][group]
        },
    )


def groups_of(run: Run) -> dict[str, list[str]]:
    """Return the groups of rows that a run's recipe names, each with those rows that the run has."""
    named = mapping(mapping(run.recipe.get("compare")).get("best"))
    lists = {str(group): rows for group, rows in named.items() if isinstance(rows, list)}
    groups = {group: [str(row) for row in rows if str(row) in run.rows] for group, rows in lists.items()}
    return {group: rows for group, rows in groups.items() if rows}


def choice_of(run: Run, groups: Mapping[str, Sequence[str]], measures: Mapping[str, MetricInfo]) -> Choice | str:
    """Return what is chosen of a run's groups, or why nothing can be, in words."""
    tuned = {group: {row: validation_score(run, row) for row in rows} for group, rows in groups.items()}
    scores = {group: {row: each[1] for row, each in rows.items() if each} for group, rows in tuned.items()}
    missing = [row for group, rows in groups.items() for row in rows if row not in scores[group]]
    if missing:
        return f"{', '.join(missing)} has no number on validation scenes"
    metrics = sorted({each[0] for rows in tuned.values() for each in rows.values() if each})
    if len(metrics) > 1:
        return f"rows were tuned by {' and by '.join(metrics)}"
    better = max if info_of(metrics[0], measures).higher_is_better else min
    best = {group: better(rows, key=rows.__getitem__) for group, rows in scores.items()}
    return Choice(metrics[0], scores, best)


def validation_score(run: Run, row: str) -> tuple[str, float] | None:
    """Return by which metric a row was tuned, and what it reached with what was chosen; None where it was not."""
    for stage in run.provenance.stages:
        if stage.name != "tune" or row not in stage.rows or stage.chosen is None:
            continue
        chosen = stage.chosen.model_dump(exclude_unset=True)
        for tried in stage.tried:
            if all(tried.get(name) == value for name, value in chosen.items()):
                metric, score = next((name, value) for name, value in tried.items() if name not in chosen)
                return None if score is None or math.isnan(float(score)) else (metric, float(score))
    return None
