"""`Bootstrap`: the general model follows the adapted copy, and what that becomes when it sees the query as well (after
Flennerhag et al., "Bootstrapped Meta-Learning", 2022, in first order)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from metai2i import (
    Adaptation,
    Batch,
    Count,
    Episode,
    Iterations,
    MetaStrategy,
    Positive,
    Share,
    Step,
    Translator,
    UserError,
    Weight,
    check_range,
)
from metai2i.meta import adapted, add_displacements, towards
from metai2i.training import query_losses, watch
from metai2i_bootstrap.learned_rates import LearnedRates
from metai2i_bootstrap.predicted_start import PredictedStart

Directions = Annotated[int, Field(ge=0, le=256)]
"""How many copies of the model a start is predicted from; more would fill the memory of most machines."""


class Bootstrap(MetaStrategy):
    """Moves the general model towards the adapted copy, and in the direction in which the query would take that.

    K steps on the support lead from theta to theta_K, L further ones on support and query to theta*:
    `theta += epsilon (theta_K - theta) + ahead (theta* - theta_K)`. The first term is Reptile's. The second takes the
    place of `bil`'s gradient of the query loss at theta_K: it has the length of inner steps, not of a raw gradient.

    Learned rates follow the query loss at theta_K, a layer's by its first-order hypergradient. With them a copy takes
    the support's steps at `adapt.lr` times a factor for each layer that changes from the first to the last step; tuning
    `adapt.lr` at test scales all of them.

    With `directions` each scene has a start of its own in theta's place: theta plus learned directions, by as much as a
    code of the support's photographs says.

    Args:
        steps: inner steps on the support in meta-training, K; as many as at test is what pays.
        further: steps on support and query that lead on from there, L.
        epsilon: the share of the way to the adapted copy; with 0 the query alone drives.
        ahead: the share of the further way; with 0 the further steps are left out.
        pool: take the K steps on support and query together, as Reptile does; further ones only go on from there.
        anneal: let both shares fall linearly to 0 over the meta-training.
        lr: the inner learning rate in meta-training; `adapt.lr` when null.
        rates: fixed, or learned for each layer. With `epsilon` and `ahead` of 0 they are all that is learned.
        rate_lr: by how much the logarithm of a layer's first rate moves in an outer step, and that of the last beside
            it, at the most.
        directions: how many the start is predicted along; with 0 all scenes begin at the general model. Each takes the
            memory of a model, and is stored like one.
        direction_share: how much of the general model's own step a direction takes, at a code of 1; of the whole step
            where `metatrain.clip` shortens it.
        code_lr: the rate of the network that makes the codes.

    Raises:
        UserError: when nothing would be learned, or an option is out of its range.
    """

    def __init__(
        self,
        *,
        inner: Adaptation,
        steps: Count = 20,
        further: Iterations = 10,
        epsilon: Share = 1.0,
        ahead: Share = 1.0,
        pool: bool = False,
        anneal: bool = True,
        lr: Positive | None = None,
        rates: Literal["fixed", "learned"] = "learned",
        rate_lr: Weight = 0.03,
        directions: Directions = 0,
        direction_share: Share = 0.25,
        code_lr: Weight = 3e-3,
    ) -> None:
        check_range("strategy.steps", steps, Count)
        check_range("strategy.further", further, Iterations)
        check_range("strategy.epsilon", epsilon, Share)
        check_range("strategy.ahead", ahead, Share)
        check_range("strategy.rate_lr", rate_lr, Weight)
        check_range("strategy.directions", directions, Directions)
        check_range("strategy.direction_share", direction_share, Share)
        check_range("strategy.code_lr", code_lr, Weight)
        if not epsilon and not (ahead and further) and rates == "fixed":
            what = "strategy: nothing is learned with rates: fixed, epsilon: 0 and ahead or further: 0"
            raise UserError(what, hint="give epsilon, or ahead and further, or learn the rates")
        self.inner, self.epsilon, self.ahead, self.anneal = inner, epsilon, ahead if further else 0.0, anneal
        self.pool, self.train_inner = pool, inner.for_training(steps, lr)
        self.further = inner.for_training(further, lr)
        self.learning, self.rate_lr = rates == "learned", rate_lr
        self.directions, self.direction_share, self.code_lr = directions, direction_share, code_lr
        self.rates: LearnedRates | None = None
        self.start: PredictedStart | None = None

    def prepare(self, gp: Translator) -> None:
        """Make the rates, if they are learned, and the directions, if there are any."""
        self.rates = LearnedRates(gp, self.inner) if self.learning else None
        self.start = PredictedStart(gp, self.inner, self.directions, self.direction_share) if self.directions else None

    def meta_parameters(self) -> Mapping[str, nn.Parameter]:
        """Return the logarithms of the rates' factors, the directions and the network of the codes."""
        learned = [part.parameters() for part in (self.rates, self.start) if part is not None]
        return {name: parameter for each in learned for name, parameter in each.items()}

    def outer(self, groups: Iterable[Mapping[str, Any]], lr: float) -> torch.optim.Optimizer:
        """Return plain descent with step size 1 for the model and the directions, whose steps are in the gradient
        already, and with momentum for the rates and the network; `metatrain.lr` and `aux.lr` are not used.
        """
        rates = [] if self.rates is None else self.rates.parameters().values()
        codes = [] if self.start is None else self.start.code_network.values()
        at_most = {id(each): self.rate_lr for each in rates} | {id(each): self.code_lr for each in codes}
        apart: list[dict[str, Any]] = []
        for group in groups:
            if group["name"] != "strategy":
                apart.append({**group, "lr": 1.0})
                continue
            for parameter in group["params"]:
                at = at_most.get(id(parameter))
                how = {"lr": 1.0} if at is None else {"lr": at, "momentum": 0.9, "dampening": 0.9}
                apart.append({**group, "params": [parameter], **how})
        return torch.optim.SGD(apart, lr=1.0)

    def cost(self, shots: int, queries: int) -> int:
        """Return samples forward and backward for one episode: the steps on the support, the query, and the further
        steps on both.
        """
        further = self.further.iterations * self.inner.samples(shots + queries) if self.ahead else 0
        pairs = shots + queries if self.pool else shots
        return self.train_inner.iterations * self.inner.samples(pairs) + queries + further

    def meta_gradient(self, gp: Translator, episode: Episode, step: Step) -> dict[str, Tensor]:
        """Add what descent steps of size 1 turn into the outer step, and the votes for rates and codes."""
        code = None if self.start is None else self.start.code(episode.support)
        begin = gp if self.start is None or code is None else self.start.of(gp, code)
        copy, losses = self._adapted(begin, episode, step)
        left = 1 - step.index / step.total if self.anneal else 1.0
        steps = towards(begin, copy, self.epsilon * left)
        if self.ahead:
            pairs = Batch.cat([episode.support, episode.query])
            further = towards(copy, adapted(copy, pairs, self.further, step.at("further")), self.ahead * left)
            steps = {player: [p + q for p, q in zip(steps[player], further[player], strict=True)] for player in steps}
        add_displacements(gp, steps)
        if self.start is not None and code is not None:
            self.start.learn(code, steps)
            losses |= self.start.lengths(code)
        return losses

    def adapt(self, gp: Translator, support: Batch, step: Step) -> Translator:
        """Return a copy after `adapt.iterations` steps on the support, from its predicted start and at the learned
        rates if there are any.
        """
        begin = gp if self.start is None else self.start.of(gp, self.start.code(support))
        if self.rates is None:
            return adapted(begin, support, self.inner, step)
        return self.rates.adapted(begin, support, self.inner, step).copy

    def _adapted(self, begin: Translator, episode: Episode, step: Step) -> tuple[Translator, dict[str, Tensor]]:
        """Return a copy after the K steps, with its losses on the query; learned rates take note of these."""
        pairs = Batch.cat([episode.support, episode.query]) if self.pool else episode.support
        if self.rates is None:
            copy = adapted(begin, pairs, self.train_inner, step.at("inner"))
            return copy, query_losses(copy, episode.query, step, watch)
        at_rates = self.rates.adapted(begin, pairs, self.train_inner, step.at("inner"), learning=True)
        return at_rates.copy, self.rates.learn(at_rates, episode.query, step) | self.rates.means()
