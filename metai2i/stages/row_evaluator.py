"""`RowEvaluator`: all that scores a row, and how it asks translators for images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.sampling import Sampling
from metai2i.metric import Metric, SetMetric
from metai2i.metrics import own_metrics
from metai2i.randomness import Randomness
from metai2i.recipe.schema import Row
from metai2i.retriever import Retriever
from metai2i.stages.sets import KnownFeatures
from metai2i.strategy import MetaStrategy
from metai2i.tasks import Task
from metai2i.training.driving import translate
from metai2i.translator import Step, Translator


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

    def images_of(self, translator: Translator, batch: Batch, step: Step) -> Tensor:
        """Return the images for a batch of any size, as many at a time as the row adapts to, in its way."""
        return batched(translator, batch, self.row.adapt.batch, step, self.way)


def batched(translator: Translator, batch: Batch, size: int, step: Step, way: str | None = None) -> Tensor:
    """Return the images for a batch of any size, `size` at a time, where the batch is.

    Args:
        way: in which the translator is asked; its first when None.
    """
    parts = [range(at, min(at + size, batch.size)) for at in range(0, batch.size, size)]
    return torch.cat([translate(translator, batch.select(part), step.at(n), way) for n, part in enumerate(parts)])
