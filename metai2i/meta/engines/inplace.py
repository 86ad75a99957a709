"""`InPlace`: first order on a copy that torch's own optimisers adapt in place; nothing of the steps is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from metai2i.adaptation import Adaptation
from metai2i.batch import Batch
from metai2i.meta.engines.engine import QueryLoss
from metai2i.meta.inner_loop import adapted
from metai2i.training.driving import add_gradients, gradients, parameters_of
from metai2i.translator import Losses, Step, Translator


@dataclass(frozen=True)
class InPlace:
    """The gradient at the adapted parameters (Eq. 2 of the paper as printed), for the memory of plain training."""

    name: ClassVar[str] = "inplace"

    def meta_gradient(
        self, gp: Translator, support: Batch, judge: QueryLoss, adaptation: Adaptation, step: Step
    ) -> Losses:
        """Compute the meta-gradient as `Engine` says."""
        copy = adapted(gp, support, adaptation, step)

        def collect(players: Sequence[str], loss: Tensor) -> None:
            add_gradients(parameters_of(gp, players), gradients(loss, parameters_of(copy, players)))

        return judge(copy, collect)
