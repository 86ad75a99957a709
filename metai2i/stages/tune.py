"""Tuning: the inner rate and the number of steps with which a row adapts, chosen on validation scenes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from metai2i.errors import UserError
from metai2i.recipe.schema import Row, Tune
from metai2i.stages.evaluate import evaluate
from metai2i.stages.row_evaluator import RowEvaluator
from metai2i.stages.scene_scores import SceneScore, read_scores
from metai2i.stages.score import spelled_score
from metai2i.tasks import Task
from metai2i.training.peaks import largest
from metai2i.training.stage_context import StageContext
from metai2i.training.stage_records import DoneRecord

Change = dict[str, float]
"""What a candidate changes in a row's `adapt`: `lr`, `iterations`."""


def tune(
    place: StageContext,
    judges: Sequence[tuple[Change, RowEvaluator]],
    tasks: Sequence[Task],
    metric: str,
    higher_is_better: bool,
) -> DoneRecord:
    """Score every candidate on the validation scenes, with the same draws for all; return the stage's marker.

    Processes share the scenes of each candidate. One at which adapting to any of them diverges is not chosen.

    Args:
        judges: what each candidate changes in the row's `adapt`, and who scores it.
        tasks: validation scenes.
        metric: the measure that chooses, averaged over queries and then over scenes.
        higher_is_better: its direction.

    Returns:
        `chosen`, the best candidate, and `tried`, all with their scores; the first of equals is chosen.

    Raises:
        UserError: when no candidate could be measured.
    """
    tried: list[tuple[Change, float | None]] = []
    records: list[DoneRecord] = []
    warnings: list[str] = []
    for n, (change, judge) in enumerate(judges):
        title, key = f"{place.title}: {_spelled(change)}", f"{place.key}/tried/{n}"
        here = replace(place, folder=place.folder / "tried" / str(n), title=title, key=key)
        records.append(evaluate(here, judge, tasks, trial=True))
        scores = read_scores(here.folder)
        diverged = [f"task {scene['task']!r}: {scene['diverged']}" for scene in scores if "diverged" in scene]
        if diverged:
            where = f"for {len(diverged)} of {len(scores)} scenes"
            warnings.append(f"{_spelled(change)}: adapting diverged {where}, the first of them {diverged[0]}")
        tried.append((change, None if diverged else mean_of(scores, metric)))
    measured = [(change, score) for change, score in tried if score is not None]
    if not measured and warnings:
        raise UserError(f"{place.title}: {warnings[0]}; so with every candidate", hint="try lower rates")
    if not measured:
        raise UserError(f"{place.title}: no validation scene has a value of {metric!r}", hint="tune by another metric")
    chosen, _ = (max if higher_is_better else min)(measured, key=lambda each: each[1])
    done = DoneRecord(
        chosen=chosen,
        tried=[{**change, metric: None if score is None else spelled_score(score)} for change, score in tried],
        metric=metric,
        iterations=len(judges) * len(tasks),
        seconds=round(sum(record["seconds"] for record in records), 3),
        peak_memory_mib=largest(record["peak_memory_mib"] for record in records),
    )
    if warnings:
        done["warnings"] = warnings
    return done


def candidates(row: Row, tuning: Tune) -> list[tuple[Change, Row]]:
    """Return every combination of the grid, as a change to the row's `adapt` and as a row that measures only what
    chooses.

    The first axis varies slowest.
    """
    axes: dict[str, Sequence[float]] = {"lr": tuning.lr or (row.adapt.lr,)}
    if tuning.at is None:
        axes |= {"iterations": tuning.iterations or (row.adapt.iterations,)}
    else:
        row = with_choice(
            row, {"iterations": tuning.at}
        )  # to try with; what is chosen are rates, for any number of steps
    changes = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    measuring = row.evaluate.model_copy(update={"images": 0, "grid": None, "metrics": (tuning.metric,)})
    return [(change, with_choice(row.model_copy(update={"evaluate": measuring}), change)) for change in changes]


def with_choice(row: Row, change: Mapping[str, float]) -> Row:
    """Return the row with other values in its `adapt`."""
    return row.model_copy(update={"adapt": row.adapt.model_copy(update=dict(change))})


def _spelled(change: Mapping[str, float]) -> str:
    """Return a candidate in words."""
    return ", ".join(f"{name} {value}" for name, value in change.items())


def mean_of(results: Sequence[SceneScore], metric: str) -> float | None:
    """Return the mean over scenes of the mean over their queries, or of what is said of their sets of outputs; None
    when nothing was measured.
    """
    entries = [[*scene["queries"], scene.get("sets", {})] for scene in results]
    scenes = [[float(entry[metric]) for entry in scene if metric in entry] for scene in entries]
    means = [sum(values) / len(values) for values in scenes if values]
    return sum(means) / len(means) if means else None
