"""How far a set metric's number of one scene would move with other images: it is scored without some of them in turn.

With fewer scenes than a verdict needs, an interval over scenes says nothing. One over the images of each scene does:
of this scene and this training. What is left is kept, so that rows are compared over the same images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from metai2i.metric import SetMetric
from metai2i.metrics.display import LeftOutRecord, SetRecord
from metai2i.stages.sets import Features, score_of, source_of

MOST_SCENES = 5
"""From one more on there can be a verdict over scenes (`metai2i.statistics.ENOUGH`)."""
IMAGE_BLOCKS = 20
"""Parts that images are put into at most, each of which is left out once."""


def tell_single_scenes(
    records: Mapping[str, SetRecord],
    metrics: Mapping[str, SetMetric],
    scenes: Mapping[str, Sequence[Features]],
    samples: int,
) -> None:
    """Put into the records what each metric says of single scenes without some images; nothing from six scenes on.

    Args:
        records: of all scenes together, by metric.
        metrics: by name.
        scenes: the draws of each scene, by its id.
        samples: how many outputs of a query lie behind one another: they are left out together.
    """
    if len(scenes) > MOST_SCENES:
        return
    for name, record in records.items():
        source = source_of(metrics, name)
        record["single"] = {
            scene: left_out(name, metrics[name], [draw[f"outputs/{source}"] for draw in draws],
                            [draw[f"real/{source}"] for draw in draws], samples)
            for scene, draws in scenes.items()
        }  # fmt: skip


def left_out(
    name: str, metric: SetMetric, outputs: Sequence[Tensor], real: Sequence[Tensor], samples: int = 1
) -> LeftOutRecord:
    """Return a scene's number without each block of queries, and without each block of real images; none of either
    where one of them is not finite.

    Args:
        name: of the metric.
        metric: that scores.
        outputs: features of each draw, (N, D), those of a query behind one another.
        real: features of each draw, (M, D).
        samples: outputs of a query.
    """

    def mean(left: Sequence[Tensor], right: Sequence[Tensor]) -> float:
        return sum(score_of(name, metric, *each) for each in zip(left, right, strict=True)) / len(left)

    of_outputs = [mean(rest, real) for rest in without_blocks(outputs, samples)]
    of_real = [mean(outputs, rest) for rest in without_blocks(real, 1)]
    known = all(map(math.isfinite, (*of_outputs, *of_real)))
    return LeftOutRecord(outputs=of_outputs if known else [], real=of_real if known else [])


def without_blocks(draws: Sequence[Tensor], together: int) -> list[list[Tensor]]:
    """Return what is left of all draws without each block in turn; no block where there are fewer than two.

    Args:
        draws: (N, D) each.
        together: how many rows behind one another are never parted.
    """
    groups = min(len(draw) for draw in draws) // together
    blocks = np.array_split(np.arange(groups), min(groups, IMAGE_BLOCKS)) if groups > 1 else []
    of_group = [torch.arange(len(draw)) // together for draw in draws]
    return [
        [draw[~torch.isin(group, torch.from_numpy(block))] for draw, group in zip(draws, of_group, strict=True)]
        for block in blocks
    ]
