"""Meta-SGD (Li, Zhou, Chen, Li, "Meta-SGD: Learning to Learn Quickly for Few-Shot Learning", 2017) as a bilevel
strategy: `theta' = theta - alpha * gradient`, with a learned alpha for every element of every parameter.

Alpha gives the direction as well as the length of an inner step, and may become negative.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from metai2i import (
    Adaptation,
    Batch,
    Count,
    Episode,
    MetaStrategy,
    Register,
    Step,
    Translator,
    Weight,
    check_range,
    hookimpl,
)
from metai2i.meta import InGraph, detach, frozen_players, instance_of, support_batches
from metai2i.training import add_gradients, drive, gradients, parameters_of, query_losses


class MetaSGD(MetaStrategy):
    """Learns a step size for every element of every parameter, along with the general model.

    Inner steps are those of SGD, whatever `adapt.optimizer` says. Step sizes start from `adapt.lr`, and tuning that at
    test changes nothing. Each player's follow that player's own query losses. They take as much memory as the model.

    Args:
        steps: inner steps in meta-training (`adapt.iterations` counts those at test).
        order: "second" differentiates through the inner steps, as published, with memory that grows by the step;
            "first" takes inner gradients as constants.
        rate_lr: the outer learning rate of the step sizes, as a share of where they start.
    """

    def __init__(
        self,
        *,
        inner: Adaptation,
        steps: Count = 5,
        order: Literal["first", "second"] = "second",
        rate_lr: Weight = 1e-2,
    ) -> None:
        check_range("strategy.steps", steps, Count)
        check_range("strategy.rate_lr", rate_lr, Weight)
        self.inner, self.order, self.rate_lr = inner, order, rate_lr
        self.train_inner = inner.for_training(steps)
        self.starts: dict[str, float] = {}
        self.alphas: dict[str, dict[str, nn.Parameter]] = {}

    def prepare(self, gp: Translator) -> None:
        """Make the step sizes of every player that is adapted, shaped as its parameters."""
        names, still = {id(p): name for name, p in gp.named_parameters()}, frozen_players(gp, self.inner)
        owned = {player: list(parameters) for player, parameters in gp.players().items() if player not in still}
        self.starts = {player: self.inner.lr * gp.rates.get(player, 1.0) for player in owned}
        self.alphas = {
            player: {names[id(p)]: nn.Parameter(torch.full_like(p, self.starts[player])) for p in parameters}
            for player, parameters in owned.items()
        }

    def meta_parameters(self) -> Mapping[str, nn.Parameter]:
        """Return the step sizes, by the names of the parameters."""
        return {name: alpha for rates in self.alphas.values() for name, alpha in rates.items()}

    def outer(self, groups: Iterable[Mapping[str, Any]], lr: float) -> torch.optim.Optimizer:
        """Return Adam; each player's step sizes have a rate that fits where they start."""
        players = [group for group in groups if group["name"] != "strategy"]
        learned = [
            {"params": list(rates.values()), "lr": self.rate_lr * self.starts[player], "name": f"strategy/{player}"}
            for player, rates in self.alphas.items()
        ]
        return super().outer([*players, *learned], lr)

    def cost(self, shots: int, queries: int) -> int:
        """Return samples forward and backward for one episode: the inner steps and the query."""
        return self.train_inner.iterations * self.inner.samples(shots) + queries

    def meta_gradient(self, gp: Translator, episode: Episode, step: Step) -> dict[str, Tensor]:
        """Add the gradient of the query losses, for the general model and the step sizes."""

        def collect(players: Sequence[str], loss: Tensor) -> None:
            origin = [*parameters_of(gp, players), *self._alphas_of(players)]
            add_gradients(origin, gradients(loss, origin, retain=True))

        copy = instance_of(gp)
        self._adapt(copy, episode.support, self.train_inner, step.at("inner"), learn=True)
        return query_losses(copy, episode.query, step, collect)

    def adapt(self, gp: Translator, support: Batch, step: Step) -> Translator:
        """Return a copy after `adapt.iterations` steps on the support, at the learned step sizes."""
        copy = instance_of(gp)
        self._adapt(copy, support, self.inner, step)
        return detach(copy)

    def _alphas_of(self, players: Sequence[str]) -> list[nn.Parameter]:
        return [alpha for player in players for alpha in self.alphas.get(player, {}).values()]

    def _adapt(self, copy: Translator, support: Batch, inner: Adaptation, step: Step, *, learn: bool = False) -> None:
        """Adapt a connected copy in place.

        Args:
            learn: keep what the meta-gradient needs.
        """
        graph = InGraph(copy, second=learn and self.order == "second")

        def update(players: Sequence[str], loss: Tensor) -> None:
            moving = [player for player in players if player in self.alphas]
            parameters = parameters_of(copy, moving)
            if not parameters:
                return
            grads = zip(self._alphas_of(moving), graph.gradients(moving, loss, parameters), strict=True)
            graph.move(parameters, [-(alpha if learn else alpha.detach()) * g for alpha, g in grads])

        for i, batch in enumerate(support_batches(support, inner, step.rng)):
            drive(copy, batch, step.at(i, inner=True), update)


@hookimpl
def register_strategies(register: Register) -> None:
    """Hand over `metasgd`."""
    register("metasgd", MetaSGD)
