"""Scoring one unseen scene: retrieve and fine-tune (Aux), adapt, translate, measure."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.exemplar_grid import GRID, crossed, input_image, save_grid
from metai2i.data.images import save_field, save_photo, to_uint8
from metai2i.data.map_iou import nearest_iou
from metai2i.data.sampling import Sampling
from metai2i.field import EXEMPLAR, FieldLookup, is_exemplars, standard_field
from metai2i.guards.handed_over import adapted_by, matches_of
from metai2i.guards.survival import lost, refuse_lost
from metai2i.metric import Metric, SetMetric, metric_values, of_sets, per_image
from metai2i.metrics import own_metrics
from metai2i.randomness import Randomness
from metai2i.recipe.schema import Row
from metai2i.retriever import Match, Retriever
from metai2i.scene_state import bytes_in, differing, numbers_in, same_kind
from metai2i.stages.auxiliary import auxiliary
from metai2i.stages.scene_scores import SceneScore
from metai2i.stages.sets import Features, KnownFeatures, set_features, set_scores, write_features
from metai2i.strategy import MetaStrategy
from metai2i.tasks import Episode, Task
from metai2i.training.driving import NonFinite, shown_images, translate
from metai2i.training.pulse import why_lifeless
from metai2i.training.ways import fields_of_way
from metai2i.translator import Step, Translator

SHOWN_OTHERWISE = ("structure", "target", "reference")
"""Fields that a run's images have folders of their own for."""

GRID_SIDE = 5
"""Inputs or exemplars in a grid, where the recipe does not say how many."""


@dataclass(frozen=True)
class RowEvaluator:
    """All that scores a row: its model, how it adapts, and how it is measured.

    `known` are features of real images, which rows of a run share.
    """

    gp: Translator
    strategy: MetaStrategy
    retriever: Retriever | None
    train_tasks: Sequence[Task]
    row: Row
    sampling: Sampling
    rng: Randomness
    device: torch.device
    metrics: Mapping[str, Metric] = field(default_factory=own_metrics)
    known: KnownFeatures = field(default_factory=dict)

    @property
    def way(self) -> str | None:
        """Return the way in which translators are asked, as the recipe says; None for their first."""
        return self.row.evaluate.way

    @property
    def asks_for_several(self) -> bool:
        """Return whether more than the first output for a query is looked at."""
        every = self.metrics.values()
        return self.row.evaluate.samples > 1 and any(each.several or isinstance(each, SetMetric) for each in every)


SHOWN_LEVEL = 1 / 255
"""Half of the distance in [-1, 1] of two levels of an 8-bit file."""


def killed_by(judge: RowEvaluator, output: Tensor, query: Batch, step: Step) -> str | None:
    """Return what shows that adapting has killed the network, in words; None where it lives or was dead before."""
    dead = why_lifeless(output, query)
    if dead is None:
        return None
    before = batched(judge.gp, query, judge.row.adapt.batch, step.at("translate"), judge.way)
    return dead if why_lifeless(before, query) is None else None


@dataclass(frozen=True)
class DrawScore:
    """What one draw of support and query gave.

    Args:
        queries: the numbers of each query.
        seconds: that Aux and adapting took.
        changed_size: numbers and bytes that the scene's model needs besides the general model; of the first draw.
        dead: what shows that adapting has killed the network.
        reach: the lowest and the highest value of its images.
        alike: whether several outputs for a query were asked for and are all the same.
        matches: the training scenes that were retrieved.
        features: what metrics of sets look at, where there are any.
    """

    queries: list[dict[str, float]]
    seconds: tuple[float, float]
    changed_size: tuple[int, int] | tuple[None, None]
    dead: str | None
    reach: tuple[float, float]
    alike: bool
    matches: Sequence[Match]
    features: Features | None


def score(judge: RowEvaluator, task: Task, images: Path | None, features: Path | None = None) -> SceneScore:
    """Adapt to one unseen task and measure every query of every draw.

    Args:
        images: the folder for the first draw's images, if they are kept.
        features: the file for what metrics of sets look at, if it is kept.
    """
    began, sets = time.monotonic(), of_sets(judge.metrics)
    draws = [score_draw(judge, task, n, images if n == 0 else None) for n in range(judge.row.episodes.draws)]
    seconds = round(time.monotonic() - began, 4)
    aux_seconds, adapt_seconds = (
        round(sum(each) / len(draws), 6) for each in zip(*(draw.seconds for draw in draws), strict=True)
    )
    own_numbers, own_bytes = draws[0].changed_size
    scores = SceneScore(
        task=task.id,
        seconds=seconds,
        adapt_seconds=adapt_seconds,
        aux_seconds=aux_seconds,
        own_numbers=own_numbers,
        own_bytes=own_bytes,
        aux=[(match.task.id, match.score) for match in draws[0].matches],  # of the draw whose images are kept
        queries=[finite(query) for draw in draws for query in draw.queries],
    )
    dead = next((draw.dead for draw in draws if draw.dead), None)
    if dead:
        scores["lifeless"] = dead
    low, high = min(draw.reach[0] for draw in draws), max(draw.reach[1] for draw in draws)
    if low < -1 - SHOWN_LEVEL or high > 1 + SHOWN_LEVEL:
        scores["beyond"] = low, high
    if all(draw.alike for draw in draws):
        scores["alike"] = True
    looked_at = [draw.features for draw in draws if draw.features is not None]
    if sets:
        scores["sets"] = finite(set_scores(sets, looked_at))
        if features is not None:
            write_features(features, looked_at)
    return scores


def score_trial(judge: RowEvaluator, task: Task) -> SceneScore:
    """Return what `score` gives; where adapting diverges that alone."""
    began = time.monotonic()
    try:
        return score(judge, task, None)
    except NonFinite as error:
        return SceneScore(
            task=task.id,
            seconds=round(time.monotonic() - began, 4),
            adapt_seconds=0.0,
            aux_seconds=0.0,
            own_numbers=None,
            own_bytes=None,
            aux=[],
            queries=[],
            diverged=error.what,
        )


@dataclass(frozen=True)
class AdaptedDraw:
    """A model that was adapted to one draw of an unseen scene.

    Args:
        episode: the draw's support and query, on the networks' device.
        start: the general model, or what was made of it by retrieved scenes.
        strategy: that has adapted it.
        matches: the training scenes that were retrieved.
        adapted: the scene's model.
        here: the step at whose address all is drawn.
        seconds: that Aux and adapting took.
    """

    episode: Episode
    start: Translator
    strategy: MetaStrategy
    matches: Sequence[Match]
    adapted: Translator
    here: Step
    seconds: tuple[float, float]


def adapt_draw(judge: RowEvaluator, task: Task, draw: int) -> AdaptedDraw:
    """Draw support and query of an unseen task, and adapt to the support.

    Args:
        draw: its number.
    """
    row = judge.row
    rng = judge.rng.at(task.id, draw)  # the same for every row, so that rows are compared on equal terms
    episode = judge.sampling.episode(task, row.test_shots, row.test_queries, rng, unseen=True)
    maps, episode = episode.support, episode.to(judge.device)  # retrieval compares maps where they were loaded
    here = Step(rng, phase=judge.gp.phases[-1])
    clock = [now(judge.device)]
    start, strategy, matches = auxiliary_start(judge, maps, here)
    clock.append(now(judge.device))
    adapted = adapted_by(strategy, start, episode.support.map(Tensor.clone), here.at("adapt"))
    clock.append(now(judge.device))
    seconds = (clock[1] - clock[0], clock[2] - clock[1])
    return AdaptedDraw(episode, start, strategy, matches, adapted, here, seconds)


def score_draw(judge: RowEvaluator, task: Task, draw: int, images: Path | None) -> DrawScore:
    """Adapt to one draw of an unseen task and measure its queries.

    Args:
        draw: its number; the first tells how much the scene's model needs.
        images: the folder for its images, if they are kept.
    """
    row, sets = judge.row, of_sets(judge.metrics)
    drawn = adapt_draw(judge, task, draw)
    episode, adapted, here = drawn.episode, drawn.adapted, drawn.here
    adapts_weights = same_kind(judge.gp, adapted)
    changed_size: tuple[int, int] | tuple[None, None] = (None, None)
    if adapts_weights and draw == 0:
        changed_size = owned(judge.gp, adapted, drawn.strategy if drawn.start is judge.gp else None)
        refuse_lost(lost(judge.gp, adapted, blind(episode.query, row.adapt.batch), here.at("lost")), adapted)
    output = batched(adapted, episode.query, row.adapt.batch, here.at("translate"), judge.way)
    samples = all_samples(judge, adapted, output, episode.query, here)
    if sets:
        episode = replace(episode, real=task.real(row.test_shots, here.rng, row.evaluate.real))
    if images is not None:
        save_first_draw(images, adapted, output, episode, here, judge)
    return DrawScore(
        queries=measured(per_image(judge.metrics), output, episode, samples, judge.sampling.field),
        seconds=drawn.seconds,
        changed_size=changed_size,
        dead=killed_by(judge, output, episode.query, here) if adapts_weights else None,
        reach=(float(samples.min()), float(samples.max())),
        alike=judge.asks_for_several and torch.equal(samples, samples[:, :1].expand_as(samples)),
        matches=drawn.matches,
        features=set_features(sets, samples.flatten(0, 1), episode, judge.device, judge.known) if sets else None,
    )


def auxiliary_start(judge: RowEvaluator, maps: Batch, here: Step) -> tuple[Translator, MetaStrategy, Sequence[Match]]:
    """Return where adapting starts, and how it goes on: from the general model, or from what Aux makes of it by the
    training scenes that are most like the support, which are returned as well.
    """
    row = judge.row
    if judge.retriever is None:
        return judge.gp, judge.strategy, ()
    matches = matches_of(judge.retriever, maps.map(Tensor.clone), row.retriever.k if row.retriever else 0)
    if not matches:
        return judge.gp, judge.strategy, matches
    scenes = [match.task for match in matches]
    start, strategy = auxiliary(judge.gp, judge.strategy, row, judge.sampling, scenes, here.at("aux"), judge.device)
    return start, strategy, matches


def all_samples(judge: RowEvaluator, adapted: Translator, output: Tensor, query: Batch, here: Step) -> Tensor:
    """Return the outputs for each query, (B, S, 3, H, W), `output` first; that one alone where nobody looks at more."""
    further = range(1, judge.row.evaluate.samples) if judge.asks_for_several else ()
    size, steps = judge.row.adapt.batch, [here.at("translate", n) for n in further]
    return torch.stack([output, *(batched(adapted, query, size, step, judge.way) for step in steps)], 1)


def seen(translator: Translator, query: Batch, way: str | None) -> Batch:
    """Return what a report shows of a query: without the exemplars that a translator is not shown in its way."""
    if not translator.ways:
        return query
    hidden = {name for name in query if name.startswith(EXEMPLAR)} - fields_of_way(translator, way)  # reference2, too
    return Batch(**{name: values for name, values in query.items() if name not in hidden})


def blind(query: Batch, size: int) -> Batch:
    """Return the first few queries."""
    return query.select(range(min(size, query.size)))


def now(device: torch.device) -> float:
    """Return the seconds on a clock that waits until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def owned(gp: Translator, adapted: Translator, strategy: MetaStrategy | None) -> tuple[int, int]:
    """Return how many numbers, and bytes, a scene's model needs besides the general model, a network of the same kind.

    Args:
        strategy: that adapted the general model itself; None where a copy was fine-tuned before, so that whatever
            differs must be kept.
    """
    kept = differing(gp, adapted) if strategy is None else strategy.kept(gp, adapted)
    return numbers_in(kept), bytes_in(kept)


def save_first_draw(
    images: Path, adapted: Translator, output: Tensor, episode: Episode, here: Step, judge: RowEvaluator
) -> None:
    """Write what a report shows of a scene: the outputs, what they are compared with, and what was shown."""
    size = judge.row.adapt.batch
    unadapted = batched(judge.gp, episode.query, size, here.at("translate"), judge.way)
    save_images(images, output, unadapted, seen(adapted, episode.query, judge.way).get("reference"))
    save_shown(images, adapted, episode.query, size, here.at("translate"), judge)
    save_row_grid(images / GRID, adapted, episode, here.at("grid"), judge)


def save_images(images: Path, output: Tensor, unadapted: Tensor, reference: Tensor | None) -> None:
    """Write a row's images of the queries (`N.png`), those of its general model before it is adapted
    (`general/N.png`) and what photographs they were shown (`reference/N.png`), each (B, 3, H, W).
    """
    kinds = {"": output, "general": unadapted} | ({} if reference is None else {"reference": reference})
    for kind, photos in kinds.items():
        for q, photo in enumerate(photos):
            save_photo(images / kind / f"{q}.png", photo)


def save_shown(images: Path, adapted: Translator, query: Batch, size: int, step: Step, judge: RowEvaluator) -> None:
    """Write what else a row's translator was shown of the queries (`shown/FIELD/N.png`), as its kind is shown, and the
    further images that it has for the report (`shown/NAME/N.png`).
    """
    there = set(seen(adapted, query, judge.way))
    known = {name: judge.sampling.field(name) for name in sorted(adapted.needs & there) if name not in SHOWN_OTHERWISE}
    for name, kind in known.items():
        if kind is None or not kind.is_image:
            continue
        for q, values in enumerate(query[name]):
            save_field(images / "shown" / name / f"{q}.png", values, kind)
    for n, at in enumerate(range(0, query.size, size)):  # in the parts of `batched`, whose outputs they go with
        part = query.select(range(at, min(at + size, query.size)))
        for name, photos in shown_images(adapted, part, step.at(n), judge.way).items():
            for q, photo in enumerate(photos, at):
                save_photo(images / "shown" / name / f"{q}.png", photo)


def save_row_grid(path: Path, adapted: Translator, episode: Episode, step: Step, judge: RowEvaluator) -> None:
    """Write every input with every exemplar, where the recipe asks for it; exemplars are samples of the support, or
    those that a task source gives with queries and support, each once.
    """
    wanted, reference = judge.row.evaluate.grid, judge.sampling.reference
    if wanted is None:
        return
    queries = episode.query.select(range(min(wanted.sources or GRID_SIDE, episode.query.size)))
    given = Batch.cat([episode.query, episode.support])
    exemplars = Batch(**{name: values for name, values in given.items() if is_exemplars(name)})
    pool = exemplars if reference is None else reference.shown(episode.support)
    if EXEMPLAR not in pool:  # of an adapted model that is another translator, such as a copier
        return
    pool = pool.select(first_of_each(pool[EXEMPLAR]))
    exemplars = pool.select(range(min(wanted.references or GRID_SIDE, pool.size)))
    outputs = batched(adapted, crossed(queries, exemplars), judge.row.adapt.batch, step, judge.way)
    inputs = seen(adapted, Batch(**{name: queries[name] for name in queries if name != "target"}), judge.way)
    shown = [input_image(inputs, n, judge.sampling.field) for n in range(queries.size)]
    save_grid(path, shown, list(to_uint8(exemplars[EXEMPLAR]).cpu()), outputs)


def first_of_each(images: Tensor) -> list[int]:
    """Return the places of images (B, 3, H, W) that are like none before them."""
    return [n for n, image in enumerate(images) if not any(torch.equal(image, before) for before in images[:n])]


def measured(
    metrics: Mapping[str, Metric],
    output: Tensor,
    episode: Episode,
    samples: Tensor | None = None,
    field_of: FieldLookup = standard_field,
) -> list[dict[str, float]]:
    """Return the numbers of each query: all that its metrics can say of the image, and for label maps `map_iou`, how
    like its own the most similar map of the support is.
    """
    values = metric_values(metrics, output, episode.query, samples)
    structure = field_of("structure") if "structure" in episode.query else None
    is_map = structure is not None and structure.is_labels
    if is_map and bool(episode.query["structure"].frac().eq(0).all()):
        values["map_iou"] = nearest_iou(episode.query["structure"], episode.support["structure"]).tolist()
    return [
        {name: numbers[q] for name, numbers in values.items() if not math.isnan(numbers[q])} for q in range(len(output))
    ]


def batched(translator: Translator, batch: Batch, size: int, step: Step, way: str | None = None) -> Tensor:
    """Return the images for a batch of any size, `size` at a time, where the batch is.

    Args:
        way: in which the translator is asked; its first when None.
    """
    parts = [range(at, min(at + size, batch.size)) for at in range(0, batch.size, size)]
    return torch.cat([translate(translator, batch.select(part), step.at(n), way) for n, part in enumerate(parts)])


def finite(scores: Mapping[str, float]) -> dict[str, float | str]:
    """Write infinity (the PSNR of a perfect image) as a string, which float() reads: JSON has none."""
    return {name: spelled_score(value) for name, value in scores.items()}


def spelled_score(value: float) -> float | str:
    """Return a score as JSON can have it: infinity as a string."""
    return str(value) if math.isinf(value) else value
