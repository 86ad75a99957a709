"""What both generators of PG2 in two stages are made of: convolutions without normalisation."""

from __future__ import annotations

from torch import nn


def convolution(before: int, after: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Return a convolution and a ReLU; the size stays as it is, or is halved at stride 2."""
    return nn.Sequential(nn.Conv2d(before, after, kernel, stride, kernel // 2), nn.ReLU())


def initialise(module: nn.Module) -> None:
    """Draw weights from Glorot's uniform distribution, and set biases to 0; for `Module.apply`.

    Without normalisation a small fixed deviation would let the signal die out on its way through narrow networks.
    """
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
