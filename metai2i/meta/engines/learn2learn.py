"""`Learn2Learn`: the adaptation unrolled into one graph, on learn2learn's `clone_module` and `update_module`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from metai2i.adaptation import Adaptation, Order
from metai2i.batch import Batch
from metai2i.meta.engines.engine import QueryLoss
from metai2i.meta.inner_loop import adapt_in_graph
from metai2i.meta.instance import instance_of
from metai2i.training.driving import add_gradients, gradients, parameters_of
from metai2i.translator import Losses, Step, Translator


@dataclass(frozen=True)
class Learn2Learn:
    """Keeps the graph of all inner steps, so its memory grows by the step in second order.

    Args:
        order: "first" takes inner gradients as constants, "second" differentiates them too.
    """

    name: ClassVar[str] = "learn2learn"
    order: Order = "second"

    def meta_gradient(
        self, gp: Translator, support: Batch, judge: QueryLoss, adaptation: Adaptation, step: Step
    ) -> Losses:
        """Compute the meta-gradient as `Engine` says."""
        copy = instance_of(gp)
        adapt_in_graph(copy, support, adaptation, step, order=self.order)

        def collect(players: Sequence[str], loss: Tensor) -> None:
            origin = parameters_of(gp, players)
            # One unrolled graph serves every player's loss, so it must outlive the first.
            add_gradients(origin, gradients(loss, origin, retain=True))

        return judge(copy, collect)
