"""Scoring one unseen scene: retrieve and fine-tune (Aux), adapt, translate, measure."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.map_iou import nearest_iou
from metai2i.field import FieldLookup, standard_field
from metai2i.guards.survival import lost, refuse_lost
from metai2i.metric import Metric, metric_values, of_sets, per_image
from metai2i.retriever import Match
from metai2i.scene_state import bytes_in, differing, numbers_in, same_kind
from metai2i.stages.adapted_draw import adapt_draw
from metai2i.stages.row_evaluator import RowEvaluator
from metai2i.stages.scene_images import save_first_draw
from metai2i.stages.scene_scores import SceneScore
from metai2i.stages.sets import Features, set_features, set_scores, write_features
from metai2i.strategy import MetaStrategy
from metai2i.tasks import Episode, Task
from metai2i.training.driving import NonFinite
from metai2i.training.pulse import why_lifeless
from metai2i.translator import Step, Translator

SHOWN_LEVEL = 1 / 255
"""Half of the distance in [-1, 1] of two levels of an 8-bit file."""


def killed_by(judge: RowEvaluator, output: Tensor, query: Batch, step: Step) -> str | None:
    """Return what shows that adapting has killed the network, in words; None where it lives or was dead before."""
    dead = why_lifeless(output, query)
    if dead is None:
        return None
    before = judge.images_of(judge.gp, query, step.at("translate"))
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
    output = judge.images_of(adapted, episode.query, here.at("translate"))
    samples = all_samples(judge, adapted, output, episode.query, here)
    if sets:
        episode = replace(episode, real=task.real(row.test_shots, here.rng, row.evaluate.real))
    if images is not None:
        save_first_draw(images, adapted, samples, episode, here, judge)
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


def all_samples(judge: RowEvaluator, adapted: Translator, output: Tensor, query: Batch, here: Step) -> Tensor:
    """Return the outputs for each query, (B, S, 3, H, W), `output` first; that one alone where nobody looks at more."""
    further = range(1, judge.row.evaluate.samples) if judge.asks_for_several else ()
    steps = [here.at("translate", n) for n in further]
    return torch.stack([output, *(judge.images_of(adapted, query, step) for step in steps)], 1)


def blind(query: Batch, size: int) -> Batch:
    """Return the first few queries."""
    return query.select(range(min(size, query.size)))


def owned(gp: Translator, adapted: Translator, strategy: MetaStrategy | None) -> tuple[int, int]:
    """Return how many numbers, and bytes, a scene's model needs besides the general model, a network of the same kind.

    Args:
        strategy: that adapted the general model itself; None where a copy was fine-tuned before, so that whatever
            differs must be kept.
    """
    kept = differing(gp, adapted) if strategy is None else strategy.kept(gp, adapted)
    return numbers_in(kept), bytes_in(kept)


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


def finite(scores: Mapping[str, float]) -> dict[str, float | str]:
    """Write infinity (the PSNR of a perfect image) as a string, which float() reads: JSON has none."""
    return {name: spelled_score(value) for name, value in scores.items()}


def spelled_score(value: float) -> float | str:
    """Return a score as JSON can have it: infinity as a string."""
    return str(value) if math.isinf(value) else value
