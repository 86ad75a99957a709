"""What retrieved scenes are for ("Aux"): the general model goes on training on the scenes most like the new one
(Alg. 2), or pairs of theirs join the batches by which it is adapted.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from metai2i.adaptation import Adaptation
from metai2i.data.retrieved import RetrievedRows, scene_weights
from metai2i.data.sampling import Sampling
from metai2i.errors import UserError
from metai2i.meta.outer_step import meta_step, outer_optimizer
from metai2i.recipe.schema import Row
from metai2i.strategy import MetaStrategy
from metai2i.tasks import Task
from metai2i.training.driving import descend, drive
from metai2i.training.optimizers import at_rate, plain_optimizer
from metai2i.translator import Step, Translator


def auxiliary(
    gp: Translator,
    strategy: MetaStrategy,
    row: Row,
    sampling: Sampling,
    tasks: Sequence[Task],
    step: Step,
    device: torch.device,
) -> tuple[Translator, MetaStrategy]:
    """Return copies of the general model and the strategy, fine-tuned on retrieved scenes (Alg. 2, lines 2 to 4).

    Meta strategies go on with their outer loop and fresh optimiser state; strategies without one train plainly. A
    strategy with a use of its own for retrieved scenes (`with_retrieved`) takes them, and no model is fine-tuned;
    nor is one with `aux.into: batches`, where the strategy's inner loop is given pairs of the scenes.

    Args:
        tasks: the retrieved scenes, best first.
    """
    with_tasks = strategy.with_retrieved(tasks, step)
    if with_tasks is not None:
        return gp, with_tasks
    weights = scene_weights(len(tasks), row.aux.weights)
    if row.aux.into == "batches":
        return gp, beside(strategy, RetrievedRows.of(tasks, row.aux.rows, weights))
    copied, strategy = copy.deepcopy((gp, strategy))  # the strategy may have parameters of its own
    lr = row.aux.lr or (row.metatrain.lr if strategy.meta else row.pretrain.lr)
    outer = (
        outer_optimizer(copied, strategy, lr, row.metatrain.freeze)
        if strategy.meta
        else plain_optimizer(copied, at_rate(row.pretrain, lr))
    )
    for i in range(row.aux.iterations):
        here = Step(step.rng.at(i), i, row.aux.iterations, step.phase)
        if strategy.meta:
            count, shape = min(row.aux.tasks, len(tasks)), (row.episodes.shots, row.episodes.queries)
            episodes = sampling.episodes(tasks, count, *shape, here.rng, weights=weights)
            meta_step(copied, strategy, outer, [e.to(device) for e in episodes], here, row.metatrain.clip)
        else:
            batch = sampling.mixed(tasks, row.pretrain.batch, here.rng, weights).to(device)
            drive(copied, batch, here, descend(copied, outer, row.pretrain.clip))
    return copied, strategy


def beside(strategy: MetaStrategy, rows: RetrievedRows) -> MetaStrategy:
    """Return a strategy whose inner loop is given pairs of retrieved scenes; the given one is untouched."""
    joined: Any = copy.copy(strategy)
    joined.inner = replace(joined.inner, retrieved=rows)
    return joined  # type: ignore[no-any-return]


def check_joins(row: Row, strategy: MetaStrategy) -> None:
    """Refuse retrieved pairs for the batches of a strategy that takes no inner steps, or that does not keep its inner
    loop where the host finds it.

    Raises:
        UserError: with what to do.
    """
    if row.retriever is None or row.aux.into == "model":
        return
    if not isinstance(getattr(strategy, "inner", None), Adaptation):
        raise UserError(
            f"aux.into: batches: the strategy {row.strategy.use!r} has no inner loop whose batches pairs could join",
            hint="into: model; a strategy of your own keeps its inner loop as `self.inner`",
        )
    if not row.adapt.iterations and row.tune is None:
        raise UserError("aux.into: batches: with adapt.iterations: 0 there are no batches", hint="into: model")
