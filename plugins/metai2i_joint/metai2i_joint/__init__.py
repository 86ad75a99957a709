"""Fine-tuning on a scene's support and on the training scenes retrieved for it, all at once.

Ma et al., "A Novel BiLevel Paradigm for Image-to-Image Translation" (2019), fine-tune the general model on retrieved
scenes first and adapt to the scene afterwards (Alg. 2); merging the two is what they advise against. This is the row
that shows whether they are right.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch

from metai2i import (
    Adaptation,
    Batch,
    Count,
    MetaStrategy,
    Randomness,
    Register,
    Step,
    Task,
    Translator,
    check_range,
    hookimpl,
)
from metai2i.meta import adapted


class Joint(MetaStrategy):
    """Fine-tunes an ordinarily trained model on the support merged with pairs of the retrieved training scenes.

    Without a retriever it is `finetune`; `aux` is not used. For translators that need a reference, each pair's is drawn
    once, from its own scene, and is varied along with it from then on.

    Args:
        pairs: pairs of each retrieved scene, or all where it has fewer.
    """

    meta = False

    def __init__(self, *, inner: Adaptation, pairs: Count = 5) -> None:
        check_range("strategy.pairs", pairs, Count)
        self.inner, self.pairs = inner, pairs
        self.others: tuple[Batch, ...] = ()

    def with_retrieved(self, tasks: Sequence[Task], step: Step) -> Joint:
        """Return the strategy for one scene, with the pairs that are merged into its support."""
        joined = copy.copy(self)
        orders = [
            torch.randperm(len(task), generator=step.rng.at("pairs", n).generator()) for n, task in enumerate(tasks)
        ]
        joined.others = tuple(
            task.load(order[: self.pairs].tolist()) for task, order in zip(tasks, orders, strict=True)
        )
        return joined

    def adapt(self, gp: Translator, support: Batch, step: Step) -> Translator:
        """Return a copy after `adapt.iterations` steps on the support and the retrieved pairs."""
        if not self.others:
            return adapted(gp, support, self.inner, step)
        device = next(iter(support.values())).device
        scenes = [support, *(other.to(device) for other in self.others)]
        scenes = [self._referring(scene, step.rng.at("reference", n)) for n, scene in enumerate(scenes)]
        return adapted(gp, Batch.cat(scenes), replace(self.inner, reference=None), step)

    def _referring(self, scene: Batch, rng: Randomness) -> Batch:
        """Return the pairs of one scene, with references where they are needed: merged pairs would get those
        of others.
        """
        if self.inner.reference is None:
            return scene
        return scene.replace(**self.inner.reference.for_support(scene, torch.arange(scene.size), rng))


@hookimpl
def register_strategies(register: Register) -> None:
    """Hand over `joint`."""
    register("joint", Joint)
