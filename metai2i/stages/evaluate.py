"""Evaluation (Alg. 2): for each unseen scene retrieve and fine-tune (Aux), adapt, translate, score.

Every scene starts from the same general model: what is done for one is thrown away after it. The literal reading of
Alg. 2 writes the auxiliary fine-tuning into the general model, so that results would depend on the order of scenes.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np

from metai2i.data.images import slugs
from metai2i.errors import UserError
from metai2i.guards.faults import user_errors_from
from metai2i.meta.plain_state import changed_names
from metai2i.metric import SetMetric, of_sets
from metai2i.metrics.display import SetRecord
from metai2i.stages.left_out import single_scorings, tell_single_scenes
from metai2i.stages.row_evaluator import RowEvaluator
from metai2i.stages.scene_scores import SceneScore, write_scores
from metai2i.stages.score import score, score_trial
from metai2i.stages.scored import Scored
from metai2i.stages.sets import Features, read_features, scorings, unmeasured, write_sets
from metai2i.stages.sets import together as put_together
from metai2i.stages.unchanged import kept_by_plugins, learned, refuse_changed, remembered
from metai2i.tasks import Task
from metai2i.training.peaks import forget_peak, largest, peak_memory
from metai2i.training.stage_context import StageContext
from metai2i.training.stage_records import AdaptingRecord, DoneRecord
from metai2i.training.ways import drawing_ways, way_or_first


def evaluate(place: StageContext, judge: RowEvaluator, tasks: Sequence[Task], *, trial: bool = False) -> DoneRecord:
    """Score all tasks, going on after those that an interrupted run has scored; return the stage's marker.

    The tasks are dealt out to the processes, which score one each and wait for each other, so that a failure in one is
    known to all before the next. Each writes what it has scored.

    Args:
        trial: whether this tries a candidate. Metrics of sets then speak of each scene alone, and of a scene to which
            adapting diverges its score says so (`diverged`), where otherwise the run ends.

    Raises:
        UserError: when a plugin has changed the general model, or when a scene's numbers depend on what was scored
            before it; the results are then void.
    """
    forget_peak(place.device)
    before, state = learned(judge), kept_by_plugins(judge)
    first: tuple[Task, SceneScore] | None = None
    scored = [Scored(place, task, number) for number, task in enumerate(tasks)]
    with_images = slugs(task.id for task in tasks[: judge.row.evaluate.images])
    processes = place.processes
    mine = set(processes.share(range(len(tasks))))
    sets = {} if trial else of_sets(judge.metrics)
    with place.progress(len(tasks)) as bar:
        for number, (task, scored_scene) in enumerate(zip(tasks, scored, strict=True)):
            if number in mine and not scored_scene.is_there():
                images = place.folder / "images" / with_images[task.id] if number < judge.row.evaluate.images else None
                scored_scene.clear(images)
                with user_errors_from(f"{place.title}: task {task.id!r}", place.folder):
                    if trial:
                        told_of = score_trial(judge, task)
                    else:
                        told_of = score(judge, task, images, scored_scene.features if sets else None)
                    if first is None and "diverged" not in told_of:
                        first = task, told_of
                        refuse_changed(judge, before)
                    scored_scene.write(told_of, images)
            if (number + 1) % processes.count == 0:
                processes.gather(None)
            bar.advance(number + 1, task.id)
    with user_errors_from(place.title, place.folder):
        wrong = remembered(judge, first, changed_names(state, kept_by_plugins(judge)), place.device)
    changed_model = learned(judge) != before
    if any(processes.gather(changed_model or wrong is not None)):
        if processes.first:
            for name in ("tasks", "features"):  # or a resumed run would take them for good
                shutil.rmtree(place.folder / name, ignore_errors=True)
        refuse_changed(judge, before, place.title)
        raise wrong or UserError(f"{place.title}: another process has found that its results are void")
    scores = [scored_scene.read() for scored_scene in scored]
    unsaid: list[str] = []
    if processes.first:
        write_scores(place.folder, scores)
        if sets and scores:
            with user_errors_from(place.title, place.folder):
                features = {each.task.id: read_features(each.features) for each in scored}
                records = scored_sets(place, sets, features)
            write_sets(place.folder, records)
            by_scene = {name: sum(name in scene.get("sets", {}) for scene in scores) for name in sets}
            unsaid = unmeasured(sets, records, by_scene)
    peak = largest(processes.gather(peak_memory(place.device)))
    seconds = round(sum(task["seconds"] for task in scores), 3)
    done = DoneRecord(iterations=len(tasks), seconds=seconds, peak_memory_mib=peak, adapting=spent(scores))
    if warnings := [*killed(judge, scores), *cut_off(judge, scores), *undrawn(judge, scores), *unsaid]:
        done["warnings"] = warnings
    return done


def scored_sets(
    place: StageContext, metrics: Mapping[str, SetMetric], scenes: Mapping[str, Sequence[Features]]
) -> dict[str, SetRecord]:
    """Return what metrics of sets say of all scenes together, and of single ones where these are few.

    Args:
        metrics: by name.
        scenes: the draws of each scene, by its id.
    """
    done = itertools.count(1)
    total = len(metrics) * scorings(len(scenes)) + single_scorings(metrics, scenes)
    with place.progress(total, part="sets of images") as bar:

        def scored(name: str) -> None:
            bar.advance(next(done), name)

        records = put_together(metrics, [*scenes.values()], scored)
        tell_single_scenes(records, metrics, scenes, scored)
    return records


def killed(judge: RowEvaluator, scores: Sequence[SceneScore]) -> list[str]:
    """Return in how many scenes the adapted model shows signs of a rate that is too high."""
    signs = [task["lifeless"] for task in scores if task.get("lifeless")]
    words = f"adapted to {len(signs)} of {len(scores)} scenes, the translator is lifeless: in the first, "
    return [f"{words}{signs[0]}; lower adapt.lr ({judge.row.adapt.lr:g})"] if signs else []


def cut_off(judge: RowEvaluator, scores: Sequence[SceneScore]) -> list[str]:
    """Return in how many scenes there are images that are not what files and reports show of them."""
    reaches = [task["beyond"] for task in scores if "beyond" in task]
    if not reaches:
        return []
    low, high = min(low for low, _ in reaches), max(high for _, high in reaches)
    return [
        f"in {len(reaches)} of {len(scores)} scenes images reach from {low:.3g} to {high:.3g}, expected -1 to 1: "
        "metrics take these values as they are, files and reports cut them off; let the translator end with tanh"
    ]


def undrawn(judge: RowEvaluator, scores: Sequence[SceneScore]) -> list[str]:
    """Return that several outputs for each query were asked for where translator or strategy draw nothing."""
    if not scores or not all(task.get("alike") for task in scores):
        return []
    way = way_or_first(judge.gp, judge.way)
    asked = "" if way is None else f" in the way {way!r}"
    who, count = type(judge.gp).__name__, judge.row.evaluate.samples
    if way in drawing_ways(judge.gp):
        who = f"what the strategy {judge.row.strategy.use!r} gives"
    return [f"{who} draws nothing{asked}: the {count} outputs for each query are all the same (evaluate.samples)"]


def spent(scores: Sequence[SceneScore]) -> AdaptingRecord | None:
    """Return what adapting to a scene takes, of what `score` has told of each; None where there is none."""
    if not scores:
        return None
    both = [task["adapt_seconds"] + task["aux_seconds"] for task in scores]
    return AdaptingRecord(
        seconds=round(median(task["adapt_seconds"] for task in scores), 6),
        aux_seconds=round(median(task["aux_seconds"] for task in scores), 6),
        scene_seconds=[round(float(each), 6) for each in np.quantile(both, (0.25, 0.5, 0.75))],
        numbers=whole_median([task["own_numbers"] for task in scores]),
        bytes=whole_median([task["own_bytes"] for task in scores]),
    )


def whole_median(values: Sequence[int | None]) -> int | None:
    """Return the median as a whole number; None where one is not known."""
    known = [value for value in values if value is not None]
    return int(median(known)) if len(known) == len(values) else None
