"""How far a set metric's number of one scene would move with other images: it is scored without some of them in turn.

With fewer scenes than a verdict needs, an interval over scenes says nothing. One over the images of each scene does:
of this scene and this training. What is left is kept, so that rows are compared over the same images.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metai2i.metric import SetMetric
from metai2i.metrics.display import LeftOutRecord, SetRecord
from metai2i.stages.sets import Features, score_of, source_of, untold

MOST_SCENES = 5
"""From one more on there can be a verdict over scenes (`metai2i.statistics.ENOUGH`)."""
IMAGE_BLOCKS = 20
"""Parts that images of a kind are put into at most, each of which is left out once."""
LARGEST_SET = 2000
"""Outputs and real images of a draw, beyond which scoring as often as there are blocks would take minutes."""


@dataclass(frozen=True)
class ScoredSet:
    """What a metric scores in one draw of a scene.

    Args:
        outputs: their features, (N, D).
        real: those of the real images, (M, D).
        outputs_of: the number of the image that each output is of, (N,).
        real_of: the number of each real image, (M,).
    """

    outputs: Tensor
    real: Tensor
    outputs_of: Tensor
    real_of: Tensor

    def without(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of outputs and real images of all but some images."""
        return self.outputs[~torch.isin(self.outputs_of, images)], self.real[~torch.isin(self.real_of, images)]


def single_scorings(metrics: Mapping[str, SetMetric], scenes: Mapping[str, Sequence[Features]]) -> int:
    """Return how often `tell_single_scenes` scores."""
    every = [draws for name in metrics for draws in _single_scenes(name, metrics, scenes).values()]
    return sum(len(blocks(images)) for draws in every for images in kinds_of_images(draws))


def tell_single_scenes(
    records: Mapping[str, SetRecord],
    metrics: Mapping[str, SetMetric],
    scenes: Mapping[str, Sequence[Features]],
    scored: Callable[[str], None] = untold,
) -> None:
    """Put into the records what each metric says of single scenes without some images; nothing from six scenes on, and
    of scenes with thousands of images.

    Args:
        records: of all scenes together, by metric.
        metrics: by name.
        scenes: the draws of each scene, by its id.
        scored: told the metric's name after each scoring.
    """
    if len(scenes) > MOST_SCENES:
        return
    for name, record in records.items():
        single = _single_scenes(name, metrics, scenes)
        record["single"] = {scene: left_out(name, metrics[name], draws, scored) for scene, draws in single.items()}


def _single_scenes(
    name: str, metrics: Mapping[str, SetMetric], scenes: Mapping[str, Sequence[Features]]
) -> dict[str, list[ScoredSet]]:
    """Return the draws of the scenes that a metric scores by themselves."""
    if len(scenes) > MOST_SCENES:
        return {}
    source = source_of(metrics, name)
    sets = {scene: [_scored(draw, source) for draw in draws] for scene, draws in scenes.items()}
    return {
        scene: draws
        for scene, draws in sets.items()
        if max(len(draw.outputs) + len(draw.real) for draw in draws) <= LARGEST_SET
    }


def _scored(draw: Features, source: str) -> ScoredSet:
    names = ("outputs", "real", "outputs_of", "real_of")
    return ScoredSet(*(draw[f"{name}/{source}"] for name in names))


def left_out(
    name: str, metric: SetMetric, draws: Sequence[ScoredSet], scored: Callable[[str], None] = untold
) -> LeftOutRecord:
    """Return a scene's number without each block of images; none where one of them is not finite.

    An image is left out of all draws at once, an output together with its truth: else what is left would still know of
    it, and intervals would be too narrow for several draws and too wide for paired data.

    Args:
        name: of the metric.
        metric: that scores.
        draws: of the scene.
        scored: told the metric's name after each scoring.
    """

    def mean(images: Tensor) -> float:
        value = sum(score_of(name, metric, *draw.without(images)) for draw in draws) / len(draws)
        scored(name)
        return value

    kinds = [blocks(images) for images in kinds_of_images(draws)]
    sides = [[mean(block) for block in of_kind] for of_kind in kinds]
    if not all(math.isfinite(value) for side in sides for value in side):
        return LeftOutRecord(sides=[], images="")
    return LeftOutRecord(sides=sides, images=_hash(kinds))


def kinds_of_images(draws: Sequence[ScoredSet]) -> list[Tensor]:
    """Return the numbers of the images of each kind that there is: queries whose truth is among the real images,
    further queries, and further real images, each in the order of the draws. A single image, whose kind says nothing of
    how much such images differ, goes to the largest other kind.
    """
    queries = list(dict.fromkeys(n for draw in draws for n in draw.outputs_of.tolist()))
    real = dict.fromkeys(n for draw in draws for n in draw.real_of.tolist())
    asked = set(queries)
    paired, further = [n for n in queries if n in real], [n for n in queries if n not in real]
    kinds = sorted((kind for kind in (paired, further, [n for n in real if n not in asked]) if kind), key=len)
    while len(kinds) > 1 and len(kinds[0]) == 1:
        kinds[-1] += kinds.pop(0)
    return [torch.tensor(kind, dtype=torch.int64) for kind in kinds]


def blocks(images: Tensor) -> list[Tensor]:
    """Return images in at most `IMAGE_BLOCKS` parts."""
    return [torch.from_numpy(block) for block in np.array_split(images.numpy(), min(len(images), IMAGE_BLOCKS))]


def _hash(kinds: Sequence[Sequence[Tensor]]) -> str:
    text = ";".join(",".join(map(str, block.tolist())) for of_kind in kinds for block in of_kind)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
