"""`GradientGate`: keeps inner gradients partial when the updates of an inner loop stay in the graph.

A player's update depends on whom it played against. Where it stays connected, the gradient of the next move would also
flow through it (the generator's through what its own weights have taught the discriminator), so the inner loop would
take other steps than plain training does. A gate is shut while an inner gradient is taken, and open for the
meta-gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor


class GradientGate:
    """Stands between updates and the parameters they go to."""

    def __init__(self) -> None:
        self.open = True

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Let no gradient through within it."""
        self.open = False
        try:
            yield
        finally:
            self.open = True

    def through(self, updates: Sequence[Tensor]) -> list[Tensor]:
        """Return the same numbers."""
        return [cast(Tensor, _Through.apply(update, self)) for update in updates]


class _Through(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, update: Tensor, gate: GradientGate) -> Tensor:
        ctx.gate = gate
        return update.view_as(update)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return gradient if ctx.gate.open else None, None
