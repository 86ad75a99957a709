"""Auxiliary fine-tuning ("Aux", Alg. 2): the general model goes on training on the scenes most like the new one."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch

from metai2i.data.sampling import Sampling
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
    strategy with a use of its own for retrieved scenes (`with_retrieved`) takes them, and no model is fine-tuned.
    """
    with_tasks = strategy.with_retrieved(tasks, step)
    if with_tasks is not None:
        return gp, with_tasks
    copied, strategy = copy.deepcopy((gp, strategy))  # the strategy may have parameters of its own
    lr = row.aux.lr or (row.metatrain.lr if strategy.meta else row.pretrain.lr)
    outer = (
        outer_optimizer(copied, strategy, lr) if strategy.meta else plain_optimizer(copied, at_rate(row.pretrain, lr))
    )
    for i in range(row.aux.iterations):
        here = Step(step.rng.at(i), i, row.aux.iterations, step.phase)
        if strategy.meta:
            count = min(row.aux.tasks, len(tasks))
            episodes = sampling.episodes(tasks, count, row.episodes.shots, row.episodes.queries, here.rng)
            meta_step(copied, strategy, outer, [e.to(device) for e in episodes], here, row.metatrain.clip)
        else:
            batch = sampling.mixed(tasks, row.pretrain.batch, here.rng).to(device)
            drive(copied, batch, here, descend(copied, outer, row.pretrain.clip))
    return copied, strategy
