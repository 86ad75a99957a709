"""The bilevel strategy of Ma et al., "A Novel BiLevel Paradigm for Image-to-Image Translation" (2019).

Inner level (Eq. 1): a copy of the general model is adapted to a scene's support pairs, generator and discriminator
alike. Outer level (Eq. 2): its losses on the scene's query pairs drive the general model, each player's own losses its
own parameters. Eq. 2 is printed in first order, the text speaks of unrolling; both are here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from metai2i import Adaptation, Batch, Episode, MetaStrategy, Register, Step, Translator, UserError, hookimpl
from metai2i.drive import drive, gradients, parameters_of
from metai2i.inner import adapt_in_graph, adapted, instance_of


class Bil(MetaStrategy):
    """The bilevel paradigm: adapt a copy to the support, step the general model by the copy's query loss.

    Args:
        steps: inner steps in meta-training (`adapt.iterations` counts those at test).
        order: "first" takes the query gradient at the adapted parameters (Eq. 2 as printed); "second" differentiates
            through the adaptation, with memory that grows by the step.
        lr: the inner learning rate in meta-training; `adapt.lr` when null.
    """

    def __init__(
        self,
        *,
        inner: Adaptation,
        steps: int = 5,
        order: Literal["first", "second"] = "first",
        lr: float | None = None,
    ) -> None:
        if steps < 0:
            raise UserError(f"strategy.steps must be 0 or more, got {steps}")
        self.inner, self.steps, self.order, self.lr = inner, steps, order, lr

    def cost(self, shots: int, queries: int) -> int:
        """Samples forward and backward for one episode: the inner steps and the query."""
        return self.steps * self.inner.samples(shots) + queries

    def meta_gradient(self, gp: Translator, episodes: Sequence[Episode], step: Step) -> dict[str, Tensor]:
        """The mean over the episodes of the query gradients with respect to the general model."""
        told: dict[str, list[Tensor]] = defaultdict(list)

        for i, episode in enumerate(episodes):
            here = step.at("episode", i)
            copy = self._copy(gp, episode.support, here.at("inner"))

            def collect(players: Sequence[str], loss: Tensor, copy: Translator = copy) -> None:
                origin = parameters_of(gp, players)
                # First order: the gradient at the adapted parameters. Second: back through the adaptation to where it
                # came from; one unrolled graph serves every player's query loss, so it must outlive the first.
                unrolled = self.order == "second"
                by = origin if unrolled else parameters_of(copy, players)
                found = gradients(loss / len(episodes), by, retain=unrolled)
                for parameter, gradient in zip(origin, found, strict=True):
                    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient

            for term, value in drive(copy, episode.query, here.at("query"), collect).items():
                told[f"query/{term}"].append(value)
        return {term: torch.stack(values).mean() for term, values in told.items()}

    def _copy(self, gp: Translator, support: Batch, step: Step) -> Translator:
        """An adapted copy; in second order one that gradients go through to the general model."""
        if self.order == "first":
            return adapted(gp, support, self.inner, step, steps=self.steps, lr=self.lr)
        copy = instance_of(gp)
        adapt_in_graph(copy, support, self.inner, step, steps=self.steps, order="second", lr=self.lr)
        return copy

    def adapt(self, gp: Translator, support: Batch, step: Step) -> Translator:
        """A copy after `adapt.iterations` steps on the support."""
        return adapted(gp, support, self.inner, step)


@hookimpl
def register_strategies(register: Register) -> None:
    """Hands over `bil`."""
    register("bil", Bil)
