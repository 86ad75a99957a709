"""The bilevel strategy of Ma et al., "A Novel BiLevel Paradigm for Image-to-Image Translation" (2019).

Inner level (Eq. 1): a copy of the general model is adapted to a scene's support pairs, generator and discriminator
alike. Outer level (Eq. 2): its losses on the scene's query pairs drive the general model, each player's own losses its
own parameters. Eq. 2 is printed in first order, the text speaks of unrolling; both are here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from metai2i import (
    Adaptation,
    Batch,
    Episode,
    Iterations,
    Losses,
    MetaStrategy,
    Positive,
    Register,
    Step,
    Translator,
    check_range,
    hookimpl,
)
from metai2i.meta import EngineName, Keep, adapted, engine_for
from metai2i.training import Update, query_losses


class Bil(MetaStrategy):
    """The bilevel paradigm: adapt a copy to the support, step the general model by the copy's query loss.

    Args:
        steps: inner steps in meta-training (`adapt.iterations` counts those at test).
        order: "first" takes the query gradient at the adapted parameters (Eq. 2 as printed); "second" differentiates
            through the adaptation, with memory that grows by the step.
        lr: the inner learning rate in meta-training; `adapt.lr` when null.
        engine: how the gradient is computed; the numbers are the same up to rounding. inplace (first order), adjoint
            (second order, keeps the parameters of each step), learn2learn (both, keeps the graph of each step), or auto
            for inplace and adjoint.
        keep: how adjoint keeps the parameters of each step: all in memory, sqrt (of as many as the square root of the
            steps; the others are computed again), or on disk.
    """

    def __init__(
        self,
        *,
        inner: Adaptation,
        steps: Iterations = 5,
        order: Literal["first", "second"] = "first",
        lr: Positive | None = None,
        engine: EngineName = "auto",
        keep: Keep = "all",
    ) -> None:
        check_range("strategy.steps", steps, Iterations)
        self.inner, self.order = inner, order
        self.train_inner = inner.for_training(steps, lr)
        self.engine = engine_for(order, engine, keep)

    def choices(self) -> Mapping[str, str]:
        """Return the engine."""
        return {"engine": self.engine.name}

    def cost(self, shots: int, queries: int) -> int:
        """Return samples forward and backward for one episode: the inner steps and the query."""
        return self.train_inner.iterations * self.inner.samples(shots) + queries

    def meta_gradient(self, gp: Translator, episode: Episode, step: Step) -> Losses:
        """Add the gradient of the adapted copy's query losses with respect to the general model."""

        def judge(copy: Translator, collect: Update) -> Losses:
            return query_losses(copy, episode.query, step, collect)

        return self.engine.meta_gradient(gp, episode.support, judge, self.train_inner, step.at("inner"))

    def adapt(self, gp: Translator, support: Batch, step: Step) -> Translator:
        """Return a copy after `adapt.iterations` steps on the support."""
        return adapted(gp, support, self.inner, step)


@hookimpl
def register_strategies(register: Register) -> None:
    """Hand over `bil`."""
    register("bil", Bil)
