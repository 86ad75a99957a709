"""SGD and Adam as functions from gradients to updates, so that a loop of them can be differentiated."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from metai2i.adaptation import Adaptation


class FunctionalOptimizer:
    """SGD or Adam as a function from gradients to updates, with fresh state, differentiable where asked.

    First order gives torch.optim's own numbers. In second order Adam's root is `sqrt(v + eps^2)` rather than
    `sqrt(v) + eps`: at v = 0 the latter has an infinite derivative and every meta-gradient becomes NaN. The two are
    never further apart than eps, so that a scene is adapted to by the steps that were meta-trained.
    """

    def __init__(self, adaptation: Adaptation, *, differentiable: bool = False) -> None:
        self.adaptation = adaptation
        self.differentiable = differentiable
        self.moments: dict[str, tuple[int, list[Tensor], list[Tensor]]] = {}

    def updates(self, player: str, grads: Sequence[Tensor], lr: float) -> list[Tensor]:
        """Return what to add to a player's parameters, in their order."""
        if self.adaptation.optimizer == "sgd":
            return [-lr * grad for grad in grads]
        (beta1, beta2), eps = self.adaptation.betas, self.adaptation.eps
        zeros = [torch.zeros_like(grad) for grad in grads]
        step, first, second = self.moments.get(player, (0, zeros, zeros))
        step += 1
        first = [beta1 * m + (1 - beta1) * g for m, g in zip(first, grads, strict=True)]
        second = [beta2 * v + (1 - beta2) * g * g for v, g in zip(second, grads, strict=True)]
        self.moments[player] = (step, first, second)
        scale, correct = lr / (1 - beta1**step), 1 - beta2**step
        if self.differentiable:
            return [-scale * m / (v / correct + eps**2).sqrt() for m, v in zip(first, second, strict=True)]
        return [-scale * m / ((v / correct).sqrt() + eps) for m, v in zip(first, second, strict=True)]
