"""The interface of the engines: adapt a copy to a support, judge it, bring the gradients back to the general model."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

from metai2i.adaptation import Adaptation
from metai2i.batch import Batch
from metai2i.training.driving import Update
from metai2i.translator import Losses, Step, Translator

QueryLoss = Callable[[Translator, Update], Losses]
"""Drives an adapted copy on what it is judged by, with the update that it is given, and returns the losses to log. It
may give that update other losses than the translator's (weighted ones), and call it as often as it likes."""


class Engine(Protocol):
    """A way to a meta-gradient."""

    name: ClassVar[str]
    """As `strategy.engine` calls it."""

    def meta_gradient(
        self, gp: Translator, support: Batch, judge: QueryLoss, adaptation: Adaptation, step: Step
    ) -> Losses:
        """Add to `.grad` of each player's parameters in `gp` the gradient of what the judge has this player minimise.

        `gp` is otherwise untouched, buffers included.

        Args:
            gp: the general model.
            support: what a copy of it is adapted to.
            judge: is called once, with the adapted copy.
            adaptation: the inner loop; with 0 iterations the gradient is that at the general model itself.
            step: where the inner loop draws its batches.

        Returns:
            What the judge returned.
        """
