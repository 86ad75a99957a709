"""Evaluation (Alg. 2): for each unseen scene retrieve and fine-tune (Aux), adapt, translate, score.

Every scene starts from the same general model: what is done for one is thrown away after it. The literal reading of
Alg. 2 writes the auxiliary fine-tuning into the general model, so that results would depend on the order of scenes.
"""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import cast

import numpy as np
import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.images import save_photo, slugs
from metai2i.data.map_iou import nearest_iou
from metai2i.data.sampling import Sampling
from metai2i.errors import UserError
from metai2i.files import remove
from metai2i.guards.faults import told_as
from metai2i.guards.handed_over import adapted_by, matches_of
from metai2i.guards.survival import lost, refuse_lost
from metai2i.meta.outer_step import as_module
from metai2i.meta.plain_state import changed, plain_state, shared_state
from metai2i.metric import Metric, values_of
from metai2i.metrics import own_metrics
from metai2i.pipeline.stage_store import check_files, entry, files_below, take_files
from metai2i.randomness import Randomness
from metai2i.recipe.schema import Row
from metai2i.registry.discovery import label_of
from metai2i.retriever import Match, Retriever
from metai2i.scene_state import bytes_in, differing, numbers_in, same_kind
from metai2i.stages.auxiliary import auxiliary
from metai2i.stages.scene_scores import SceneScore, write_scores
from metai2i.strategy import MetaStrategy
from metai2i.tasks import Episode, Task
from metai2i.training.checkpoint import digest
from metai2i.training.driving import translate
from metai2i.training.loop import Workplace, forget_peak, peak_memory
from metai2i.training.pulse import lifeless
from metai2i.training.sealed import Broken, read_sealed, write_sealed
from metai2i.training.stage_records import AdaptingRecord, DoneRecord
from metai2i.translator import Step, Translator

log = logging.getLogger("metai2i")

NEAR = 0.02
"""What share of itself a number may differ by on a GPU when a scene is scored once more; on a CPU it is the same."""


@dataclass(frozen=True)
class Judge:
    """All that scores a row: its model, how it adapts, and how it is measured."""

    gp: Translator
    strategy: MetaStrategy
    retriever: Retriever | None
    train_tasks: Sequence[Task]
    row: Row
    sampling: Sampling
    rng: Randomness
    device: torch.device
    metrics: Mapping[str, Metric] = field(default_factory=own_metrics)


def evaluate(place: Workplace, judge: Judge, tasks: Sequence[Task]) -> DoneRecord:
    """Scores all tasks, going on after those that an interrupted run has scored; returns the stage's marker.

    The tasks are dealt out to the processes, which score one each and wait for each other, so that a failure in one is
    known to all before the next. Each writes what it has scored.

    Raises:
        UserError: when a plugin has changed the general model, or when a scene's numbers depend on what was scored
            before it; the results are then void.
    """
    forget_peak(place.device)
    before, state = learned(judge), kept_by_plugins(judge)
    first: tuple[Task, SceneScore] | None = None
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
        write_scores(place.folder, told)
    peak = max(processes.gather(peak_memory(place.device)))
    seconds = round(sum(task["seconds"] for task in told), 3)
    done = DoneRecord(iterations=len(tasks), seconds=seconds, peak_memory_mib=peak, adapting=spent(told))
    if warnings := killed(judge, told):
        done["warnings"] = warnings
    return done


def killed_by(judge: Judge, output: Tensor, query: Batch, step: Step) -> str | None:
    """Return what shows that adapting has killed the network, in words; None where it lives or was dead before."""
    dead = lifeless(output, query)
    if dead is None:
        return None
    before = batched(judge.gp, query, judge.row.adapt.batch, step.at("translate"))
    return dead if lifeless(before, query) is None else None


def killed(judge: Judge, told: Sequence[SceneScore]) -> list[str]:
    """Return in how many scenes the adapted model shows signs of a rate that is too high."""
    signs = [task["lifeless"] for task in told if task.get("lifeless")]
    words = f"adapted to {len(signs)} of {len(told)} scenes, the translator is lifeless: in the first, "
    return [f"{words}{signs[0]}; lower adapt.lr ({judge.row.adapt.lr:g})"] if signs else []


@dataclass(frozen=True)
class Scored:
    """The file of a scene that has been scored, from which an interrupted evaluation goes on.

    It carries the stage's key, the scene's id, and digests of the scene's pictures.

    Args:
        place: of the stage.
        task: the scene.
        number: its place among the scenes.
    """

    place: Workplace
    task: Task
    number: int

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.place.folder / "tasks" / f"{self.number:05}.json"

    def read(self) -> SceneScore:
        """What `score` told of the scene.

        Raises:
            Broken: when the file is damaged, or that of another stage or scene, or a picture is not what was written.
        """
        about = read_sealed(self.path, stage=self.place.key, task=self.task.id)
        check_files(self.place.folder, take_files(about, self.path.name), content=True)
        return cast(SceneScore, {name: value for name, value in about.items() if name != "stage"})

    def is_there(self) -> bool:
        """Whether the scene has been scored; that its file is damaged is told."""
        if not self.path.exists():
            return False
        try:
            self.read()
        except Broken as error:
            log.warning("%s: %s; task %r is scored anew", self.place.title, error, self.task.id)
            return False
        return True

    def clear(self, images: Path | None) -> None:
        """Removes what is left of it and of its pictures."""
        for path in (self.path, *([images] if images is not None else [])):
            remove(path)

    def write(self, told: SceneScore, images: Path | None) -> None:
        """Writes what `score` told, and digests of its pictures."""
        pictures = files_below(images) if images is not None else []
        files = {path.relative_to(self.place.folder).as_posix(): entry(path) for path in pictures}
        write_sealed(self.path, {**told, "stage": self.place.key, "files": files})


def spent(told: Sequence[SceneScore]) -> AdaptingRecord | None:
    """Return what adapting to a scene takes, of what `score` has told of each; None where there is none."""
    if not told:
        return None
    both = [task["adapt_seconds"] + task["aux_seconds"] for task in told]
    return AdaptingRecord(
        seconds=round(median(task["adapt_seconds"] for task in told), 6),
        aux_seconds=round(median(task["aux_seconds"] for task in told), 6),
        scene_seconds=[round(float(each), 6) for each in np.quantile(both, (0.25, 0.5, 0.75))],
        numbers=whole_median([task["own_numbers"] for task in told]),
        bytes=whole_median([task["own_bytes"] for task in told]),
    )


def whole_median(values: Sequence[int | None]) -> int | None:
    """Return the median as a whole number; None where one is not known."""
    known = [value for value in values if value is not None]
    return int(median(known)) if len(known) == len(values) else None


def learned(judge: Judge) -> tuple[str, str]:
    """A hash of all that training has made, which no scene may change."""
    return digest(judge.gp), digest(as_module(judge.strategy.meta_parameters()))


def refuse_changed(judge: Judge, before: tuple[str, str], title: str = "") -> None:
    """Refuses a general model, or meta-parameters, that a scene has changed.

    Raises:
        UserError: naming those who may have done it.
    """
    if learned(judge) != before:
        prefix = f"{title}: " if title else ""
        raise UserError(
            f"{prefix}adapting to a scene or translating has changed the general model, so its results would be void; "
            f"{suspects(judge)}",
            hint="`metai2i check` finds out which: adapt() must work on a copy (metai2i.meta.adapted makes one)",
        )


def suspects(judge: Judge) -> str:
    """Whose code works on the general model, in words."""
    made, strategy = type(judge.gp), type(judge.strategy)
    return (
        f"it was done by the strategy {strategy.__name__} of {label_of(strategy)} or by the translator "
        f"{made.__name__} of {label_of(made)}"
    )


def kept_by_plugins(judge: Judge) -> dict[str, str]:
    """Digests of what translator, strategy and metrics keep besides parameters and buffers, by name."""
    found: dict[str, str] = {}
    for part in (judge.gp, judge.strategy, *judge.metrics.values()):
        found |= {f"{type(part).__name__}.{name}": value for name, value in plain_state(part).items()}
        found |= shared_state(part)
    return found


def remembered(
    judge: Judge, first: tuple[Task, SceneScore] | None, names: Sequence[str], device: torch.device
) -> UserError | None:
    """The error when the first scene, scored once more behind all others, has other numbers; that is tried where a
    plugin keeps something that has changed since.

    Args:
        first: the scene and what `score` has told of it.
        names: what has changed.
    """
    if first is None or not names:
        return None
    task, before = first
    after = score(judge, task, None)
    slack = NEAR if device.type == "cuda" else 0.0
    if alike(before["queries"], after["queries"], slack):
        return None
    return UserError(
        f"scene {task.id!r}, scored once more after the others, has other numbers: what a plugin keeps goes from scene "
        f"to scene ({', '.join(names[:5])})",
        hint="keep nothing between scenes; what a translator learns belongs into parameters and buffers "
        "(register_buffer)",
    )


def alike(
    before: Sequence[Mapping[str, float | str]], after: Sequence[Mapping[str, float | str]], slack: float
) -> bool:
    """Whether two lists of a scene's numbers say the same, within a share of each number."""
    return len(before) == len(after) and all(
        one.keys() == other.keys()
        and all(math.isclose(float(one[name]), float(other[name]), rel_tol=slack, abs_tol=slack) for name in one)
        for one, other in zip(before, after, strict=True)
    )


def score(judge: Judge, task: Task, images: Path | None) -> SceneScore:
    """Adapts to one unseen task and measures every query of every draw.

    Args:
        images: the folder for the first draw's pictures, if they are kept.
    """
    row, began = judge.row, time.monotonic()
    queries: list[dict[str, float]] = []
    times: list[tuple[float, float]] = []
    own: tuple[int, int] | tuple[None, None] = (None, None)
    matches: Sequence[Match] = ()
    dead: str | None = None
    for draw in range(row.episodes.draws):
        rng = judge.rng.at(task.id, draw)  # the same for every row, so that rows are compared on equal terms
        episode = judge.sampling.episode(task, row.test_shots, row.test_queries, rng, unseen=True)
        maps, episode = episode.support, episode.to(judge.device)  # retrieval compares maps where they were loaded
        here = Step(rng, phase=judge.gp.phases[-1])
        start, strategy = judge.gp, judge.strategy
        clock = [now(judge.device)]
        if judge.retriever is not None:
            found = matches_of(judge.retriever, maps.map(Tensor.clone), row.retriever.k if row.retriever else 0)
            matches = found if draw == 0 else matches  # of the draw whose pictures are kept
            if found:
                start, strategy = auxiliary(
                    judge.gp,
                    judge.strategy,
                    judge.row,
                    judge.sampling,
                    [match.task for match in found],
                    here.at("aux"),
                    judge.device,
                )
        clock.append(now(judge.device))
        adapted = adapted_by(strategy, start, episode.support.map(Tensor.clone), here.at("adapt"))
        clock.append(now(judge.device))
        times.append((clock[1] - clock[0], clock[2] - clock[1]))
        if draw == 0:
            own = owned(judge.gp, adapted, strategy if start is judge.gp else None)
            if own[0] is not None:
                refuse_lost(lost(judge.gp, adapted, blind(episode.query, row.adapt.batch), here.at("lost")), adapted)
        output = batched(adapted, episode.query, row.adapt.batch, here.at("translate"))
        dead = dead or (killed_by(judge, output, episode.query, here) if own[0] is not None else None)
        queries += measured(judge.metrics, output, episode)
        if images is not None and draw == 0:
            unadapted = batched(judge.gp, episode.query, row.adapt.batch, here.at("translate"))
            save_pictures(images, output, unadapted, episode.query.get("reference"))
    seconds = round(time.monotonic() - began, 4)
    aux = [(match.task.id, match.score) for match in matches]
    aux_seconds, adapt_seconds = (round(sum(each) / len(times), 6) for each in zip(*times, strict=True))
    scores = SceneScore(
        task=task.id,
        seconds=seconds,
        adapt_seconds=adapt_seconds,
        aux_seconds=aux_seconds,
        own_numbers=own[0],
        own_bytes=own[1],
        aux=aux,
        queries=[finite(query) for query in queries],
    )
    if dead:
        scores["lifeless"] = dead
    return scores


def blind(query: Batch, size: int) -> Batch:
    """The first few queries."""
    return query.select(range(min(size, query.size)))


def now(device: torch.device) -> float:
    """Seconds on a clock that waits until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def owned(gp: Translator, adapted: Translator, strategy: MetaStrategy | None) -> tuple[int, int] | tuple[None, None]:
    """How many numbers, and bytes, a scene's model needs besides the general model.

    Args:
        strategy: that adapted the general model itself; None where a copy was fine-tuned before, so that whatever
            differs must be kept.
    """
    if not same_kind(gp, adapted):
        return None, None
    kept = differing(gp, adapted) if strategy is None else strategy.kept(gp, adapted)
    return numbers_in(kept), bytes_in(kept)


def save_pictures(images: Path, output: Tensor, unadapted: Tensor, reference: Tensor | None) -> None:
    """Writes a row's pictures of the queries (`N.png`), those of its general model before it is adapted
    (`general/N.png`) and what photographs they were shown (`reference/N.png`), each (B, 3, H, W)."""
    kinds = {"": output, "general": unadapted} | ({} if reference is None else {"reference": reference})
    for kind, photos in kinds.items():
        for q, photo in enumerate(photos):
            save_photo(images / kind / f"{q}.png", photo)


def measured(metrics: Mapping[str, Metric], output: Tensor, episode: Episode) -> list[dict[str, float]]:
    """The numbers of each query: all that its metrics can say of the picture, and for label maps `map_iou`, how like
    its own the most similar map of the support is."""
    values = values_of(metrics, output, episode.query)
    if "structure" in episode.query and bool(episode.query["structure"].frac().eq(0).all()):
        values["map_iou"] = nearest_iou(episode.query["structure"], episode.support["structure"]).tolist()
    return [
        {name: numbers[q] for name, numbers in values.items() if not math.isnan(numbers[q])} for q in range(len(output))
    ]


def batched(translator: Translator, batch: Batch, size: int, step: Step) -> Tensor:
    """The pictures for a batch of any size, `size` at a time, where the batch is."""
    parts = [range(at, min(at + size, batch.size)) for at in range(0, batch.size, size)]
    return torch.cat([translate(translator, batch.select(part), step.at(n)) for n, part in enumerate(parts)])


def finite(scores: Mapping[str, float]) -> dict[str, float | str]:
    """JSON knows no infinity (the PSNR of a perfect picture): written as a string, which float() reads."""
    return {name: value if abs(value) != float("inf") else str(value) for name, value in scores.items()}
