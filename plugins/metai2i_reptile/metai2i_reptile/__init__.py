"""Reptile (Nichol, Achiam, Schulman, "On First-Order Meta-Learning Algorithms", 2018) as a bilevel strategy.

The two levels are the paper's; only the outer step differs: the general model moves towards the adapted copy,
`theta_GP += epsilon * (theta_IS - theta_GP)`, averaged over the episodes, and no query loss is differentiated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from metai2i import (
    Adaptation,
    Batch,
    Count,
    Episode,
    MetaStrategy,
    Positive,
    Register,
    Step,
    Translator,
    check_range,
    hookimpl,
)
from metai2i.meta import adapted, add_displacements, towards
from metai2i.training import query_losses, watch

OuterStep = Annotated[float, Field(gt=0, le=1)]
"""How much of the way towards the adapted copies the general model goes."""


class Reptile(MetaStrategy):
    """Moves the general model towards its adapted copies.

    The outer step is plain descent with step size `epsilon`; `metatrain.lr` and `aux.lr` are not used. The auxiliary
    fine-tuning on retrieved scenes takes the same steps, annealed over its own length.

    Args:
        steps: inner steps in meta-training; as many as at test is what pays.
        epsilon: the outer step size, the share of the way towards the mean adapted copy.
        anneal: let `epsilon` fall linearly to 0 over the meta-training.
        pool: adapt on the support and query pairs together, as Reptile has no use for a query of its own.
        lr: the inner learning rate in meta-training; `adapt.lr` when null.
    """

    def __init__(
        self,
        *,
        inner: Adaptation,
        steps: Count = 20,
        epsilon: OuterStep = 0.5,
        anneal: bool = True,
        pool: bool = True,
        lr: Positive | None = None,
    ) -> None:
        check_range("strategy.steps", steps, Count)
        check_range("strategy.epsilon", epsilon, OuterStep)
        self.inner, self.epsilon, self.anneal, self.pool = inner, epsilon, anneal, pool
        self.train_inner = inner.for_training(steps, lr)

    def outer(self, groups: Iterable[Mapping[str, Any]], lr: float) -> torch.optim.Optimizer:
        """Return plain descent; the step size is in the gradient already."""
        return torch.optim.SGD([{**group, "lr": 1.0} for group in groups], lr=1.0)

    def cost(self, shots: int, queries: int) -> int:
        """Return samples forward and backward for one episode: the inner steps, and the query losses that
        are logged.
        """
        return self.train_inner.iterations * self.inner.samples(shots + queries if self.pool else shots) + queries

    def meta_gradient(self, gp: Translator, episode: Episode, step: Step) -> dict[str, Tensor]:
        """Add `epsilon * (theta_GP - theta_IS)`, which a descent step of size 1 turns into Reptile's update."""
        epsilon = self.epsilon * (1 - step.index / step.total) if self.anneal else self.epsilon
        pairs = Batch.cat([episode.support, episode.query]) if self.pool else episode.support
        copy = adapted(gp, pairs, self.train_inner, step.at("inner"))
        add_displacements(gp, towards(gp, copy, epsilon))
        return query_losses(copy, episode.query, step, watch)

    def adapt(self, gp: Translator, support: Batch, step: Step) -> Translator:
        """Return a copy after `adapt.iterations` steps on the support."""
        return adapted(gp, support, self.inner, step)


@hookimpl
def register_strategies(register: Register) -> None:
    """Hand over `reptile`."""
    register("reptile", Reptile)
