"""MAML++ (Antoniou, Edwards, Storkey, "How to Train Your MAML", 2019) as a bilevel strategy.

Two of its parts are here, for any translator: inner learning rates that are learned, one for each player and step
(theirs are for each layer and step), and the multi-step loss, which judges the copy after every inner step and not
only after the last. The derivative order is an option of its own and is not annealed; batch normalisation is the
translator's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
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
    Share,
    Step,
    Translator,
    Weight,
    check_range,
    hookimpl,
)
from metai2i.meta import FunctionalOptimizer, InGraph, detach, frozen_players, instance_of, support_batches
from metai2i.training import add_gradients, drive, gradients, parameters_of, query_losses


class MamlPlusPlus(MetaStrategy):
    """Learns the inner rates along with the general model, and minimises the query loss after every inner step.

    Rates are learned as logarithms, so that they stay positive, and start from `adapt.lr`; tuning that at test changes
    nothing. Each player's rates follow that player's own query losses. At test, steps beyond those of meta-training
    take the last one's rate. The auxiliary fine-tuning goes through the weights of the multi-step loss anew.

    Args:
        steps: inner steps in meta-training (`adapt.iterations` counts those at test).
        order: "first" takes inner gradients as constants; "second" differentiates through them, with memory that
            grows by the step.
        anneal: the share of meta-training in which the weights of the query losses move from being equal for all steps
            to the last step alone; 0 for the last step alone from the start.
        rate_lr: the outer learning rate of the rates' logarithms: 0.01 changes a rate by at most about 1% in a step.
    """

    def __init__(
        self,
        *,
        inner: Adaptation,
        steps: Count = 5,
        order: Literal["first", "second"] = "first",
        anneal: Share = 0.5,
        rate_lr: Weight = 1e-2,
    ) -> None:
        check_range("strategy.steps", steps, Count)
        check_range("strategy.anneal", anneal, Share)
        check_range("strategy.rate_lr", rate_lr, Weight)
        self.inner, self.steps, self.order, self.anneal, self.rate_lr = inner, steps, order, anneal, rate_lr
        self.train_inner = inner.for_training(steps)
        self.log_rates: dict[str, nn.Parameter] = {}

    def prepare(self, gp: Translator) -> None:
        """Make the rates of every player that is adapted, (steps,) each."""
        device, still = next(gp.parameters()).device, frozen_players(gp, self.inner)
        starts = {player: self.inner.lr * gp.rates.get(player, 1.0) for player in gp.players() if player not in still}
        self.log_rates = {
            player: nn.Parameter(torch.full((self.steps,), start, device=device).log())
            for player, start in starts.items()
        }

    def meta_parameters(self) -> Mapping[str, nn.Parameter]:
        """Return the logarithms of the rates, by player."""
        return self.log_rates

    def outer(self, groups: Iterable[Mapping[str, Any]], lr: float) -> torch.optim.Optimizer:
        """Return Adam; the rates have a rate of their own."""
        return super().outer(({**g, "lr": self.rate_lr} if g["name"] == "strategy" else g for g in groups), lr)

    def cost(self, shots: int, queries: int) -> int:
        """Return samples forward and backward for one episode: the inner steps, and the query once or after each of
        them; the mean over the whole of meta-training, rounded up.
        """
        return self.steps * self.inner.samples(shots) + math.ceil(queries * (1 + (self.steps - 1) * self.anneal))

    def weights(self, step: Step) -> list[float]:
        """Return the weights of the query losses after each inner step, at an outer step; they add up to 1."""
        done = min(1.0, step.index / (self.anneal * step.total)) if self.anneal else 1.0
        early = (1 - done) / self.steps
        return [early] * (self.steps - 1) + [1 - (self.steps - 1) * early]

    def meta_gradient(self, gp: Translator, episode: Episode, step: Step) -> dict[str, Tensor]:
        """Add the gradients of the weighted query losses, for the general model and the rates."""
        weights, copy = self.weights(step), instance_of(gp)
        losses: dict[str, Tensor] = {}

        def collect(players: Sequence[str], loss: Tensor) -> None:
            origin = [*parameters_of(gp, players), *(self.log_rates[p] for p in players if p in self.log_rates)]
            add_gradients(origin, gradients(weights[i] * loss, origin, retain=True))

        for i in self._steps(copy, episode.support, self.train_inner, step.at("inner"), learn=True):
            if weights[i]:
                # On a copy of the copy: what the query does to buffers must not reach the next inner step.
                losses = query_losses(instance_of(copy), episode.query, step, collect)
        rates = {f"rate/{player}": log.detach().exp().mean() for player, log in self.log_rates.items()}
        return losses | rates

    def adapt(self, gp: Translator, support: Batch, step: Step) -> Translator:
        """Return a copy after `adapt.iterations` steps on the support, at the learned rates."""
        copy = instance_of(gp)
        for _ in self._steps(copy, support, self.inner, step):
            pass
        return detach(copy)

    def _steps(
        self, copy: Translator, support: Batch, inner: Adaptation, step: Step, *, learn: bool = False
    ) -> Iterator[int]:
        """Adapt a connected copy in place, and yield after each step.

        Args:
            learn: keep what the meta-gradient needs.
        """
        second = learn and self.order == "second"
        graph, optimizer = InGraph(copy, second=second), FunctionalOptimizer(inner, differentiable=second)
        with torch.set_grad_enabled(learn):
            rates = {player: log.exp() for player, log in self.log_rates.items()}

        def move(i: int, players: Sequence[str], loss: Tensor) -> None:
            moving = [player for player in players if player in rates]
            if not moving:
                return
            parameters, updates = parameters_of(copy, moving), list[Tensor]()
            grads = iter(graph.gradients(moving, loss, parameters))
            for player in moving:
                rate, group = rates[player][min(i, self.steps - 1)], parameters_of(copy, [player])
                updates += [rate * u for u in optimizer.updates(player, [next(grads) for _ in group], 1.0)]
            graph.move(parameters, updates)

        for i, batch in enumerate(support_batches(support, inner, step.rng)):
            drive(copy, batch, step.at(i, inner=True), partial(move, i))
            yield i


@hookimpl
def register_strategies(register: Register) -> None:
    """Hand over `mamlpp`."""
    register("mamlpp", MamlPlusPlus)
