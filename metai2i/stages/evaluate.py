"""Evaluation (Alg. 2): for each unseen scene retrieve and fine-tune (Aux), adapt, translate, score.

Every scene starts from the same general model: what is done for one is thrown away after it. The literal reading of
Alg. 2 writes the auxiliary fine-tuning into the general model, so that results would depend on the order of scenes.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from metai2i.data.images import slugs
from metai2i.errors import UserError
from metai2i.files import write_json
from metai2i.guards.faults import told_as
from metai2i.meta.plain_state import changed
from metai2i.stages.score import Judge, score
from metai2i.stages.scored import Scored
from metai2i.stages.unchanged import kept_by_plugins, learned, refuse_changed, remembered
from metai2i.tasks import Task
from metai2i.training.loop import Workplace, forget_peak, peak_memory


def evaluate(place: Workplace, judge: Judge, tasks: Sequence[Task]) -> dict[str, Any]:
    """Scores all tasks, going on after those that an interrupted run has scored; returns the stage's marker.

    The tasks are dealt out to the processes, which score one each and wait for each other, so that a failure in one is
    known to all before the next. Each writes what it has scored.

    Raises:
        UserError: when a plugin has changed the general model, or when a scene's numbers depend on what was scored
            before it; the results are then void.
    """
    forget_peak(place.device)
    before, state = learned(judge), kept_by_plugins(judge)
    first: tuple[Task, dict[str, Any]] | None = None
    scored = [Scored(place, task, number) for number, task in enumerate(tasks)]
    pictured = slugs(task.id for task in tasks[: judge.row.evaluate.images])
    processes = place.processes
    mine = set(processes.share(range(len(tasks))))
    with place.progress(len(tasks)) as bar:
        for number, (task, one) in enumerate(zip(tasks, scored, strict=True)):
            if number in mine and not one.is_there():
                images = place.folder / "images" / pictured[task.id] if number < judge.row.evaluate.images else None
                one.clear(images)
                with told_as(f"{place.title}: task {task.id!r}", place.folder):
                    told_of = score(judge, task, images)
                    if first is None:
                        first = task, told_of
                        refuse_changed(judge, before)
                    one.write(told_of, images)
            if (number + 1) % processes.count == 0:
                processes.gather(None)
            bar.advance(number + 1, task.id)
    with told_as(place.title, place.folder):
        wrong = remembered(judge, first, changed(state, kept_by_plugins(judge)), place.device)
    changed_model = learned(judge) != before
    if any(processes.gather(changed_model or wrong is not None)):
        if processes.first:
            shutil.rmtree(place.folder / "tasks", ignore_errors=True)  # or a resumed run would take them for good
        refuse_changed(judge, before, place.title)
        raise wrong or UserError(f"{place.title}: its results are void, as another process tells")
    told = [one.read() for one in scored]
    if processes.first:
        write_json(place.folder / "results.json", told)
    peak = max(processes.gather(peak_memory(place.device)))
    seconds = round(sum(task["seconds"] for task in told), 3)
    done = {"iterations": len(tasks), "seconds": seconds, "peak_memory_mib": peak, "adapting": spent(told)}
    warnings = killed(judge, told)
    return done | ({"warnings": warnings} if warnings else {})


def killed(judge: Judge, told: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return in how many scenes the adapted model shows signs of a rate that is too high."""
    signs = [task["lifeless"] for task in told if task.get("lifeless")]
    words = f"adapted to {len(signs)} of {len(told)} scenes, the translator is lifeless: in the first, "
    return [f"{words}{signs[0]}; lower adapt.lr ({judge.row.adapt.lr:g})"] if signs else []


def spent(told: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What adapting to a scene takes, of what `score` has told of each; None where there is none.

    Returns:
        `seconds` of adapting alone and `aux_seconds` of what is done before it with retrieved scenes, medians over
        scenes; `scene_seconds`: lower quartile, median and upper quartile of both together; `numbers` and `bytes` that
        are a scene's own, medians, None where an adapted model is not the general model's network.
    """
    if not told:
        return None
    both = [task["adapt_seconds"] + task["aux_seconds"] for task in told]
    own = {name: [task[f"own_{name}"] for task in told] for name in ("numbers", "bytes")}
    return {
        "seconds": round(median(task["adapt_seconds"] for task in told), 6),
        "aux_seconds": round(median(task["aux_seconds"] for task in told), 6),
        "scene_seconds": [round(float(each), 6) for each in np.quantile(both, (0.25, 0.5, 0.75))],
        **{name: None if None in values else int(median(values)) for name, values in own.items()},
    }
