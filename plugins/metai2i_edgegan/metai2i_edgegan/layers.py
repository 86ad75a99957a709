"""Layers that EdgeGAN's networks share, with TensorFlow's conventions, for which it was tuned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv_transpose2d, interpolate

SPREAD = 0.02
"""Standard deviation of weights before training."""
Init = Literal["normal", "kaiming"]
"""How weights are drawn before training: with `SPREAD`, or so that features vary as much as what they are made of."""
Upsampling = Literal["transposed", "resize"]
"""How height and width are doubled."""
_TINY = 1e-12
"""Added to a variance, whose root has no gradient at 0."""


class InstanceNorm(nn.Module):
    """Normalises each channel of each image: less its mean, divided by its standard deviation, to which epsilon is
    added (`torch.nn.InstanceNorm2d` adds it to the variance).

    Args:
        eps: epsilon.
    """

    def __init__(self, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, C, h, w) of (B, C, h, w)."""
        centred = features - features.mean((2, 3), keepdim=True)
        deviation = (centred.square().mean((2, 3), keepdim=True) + _TINY).sqrt()
        return centred / (deviation + self.eps)


class TransposedDoubling(nn.Module):
    """A transposed convolution of 5x5 that doubles height and width, padded as TensorFlow's SAME.

    It is the gradient of a convolution with stride 2 that has one row and column of zeros before an image and two
    behind it. torch's paddings cannot be uneven, so a row and a column too many are made, and cut off.

    Args:
        before: channels that go in.
        after: channels that come out.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(before, after, 5, 5) * SPREAD)
        self.bias = nn.Parameter(torch.zeros(after))

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, after, 2h, 2w) of (B, before, h, w)."""
        height, width = features.shape[-2:]
        doubled = conv_transpose2d(features, self.weight, self.bias, stride=2, padding=1)
        return doubled[..., : 2 * height, : 2 * width]


class ResizedDoubling(nn.Module):
    """Each place repeated in both directions, and a convolution of 5x5.

    All places of the output have equally many sources. Of a transposed convolution some have more than their
    neighbours, which makes a chequered pattern (Odena et al., "Deconvolution and Checkerboard Artifacts", 2016).

    Args:
        before: channels that go in.
        after: channels that come out.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, after, 5, padding=2)
        initialise(self.convolution)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, after, 2h, 2w) of (B, before, h, w)."""
        doubled: Tensor = self.convolution(interpolate(features, scale_factor=2.0, mode="nearest"))
        return doubled


DOUBLINGS: Mapping[Upsampling, Callable[[int, int], nn.Module]] = {
    "transposed": TransposedDoubling,
    "resize": ResizedDoubling,
}
"""What doubles height and width, made of the channels that go in and those that come out."""


def initialise(module: nn.Module, init: Init = "normal") -> None:
    """Draw the weights of a convolution or a linear layer; biases are 0.

    Args:
        module: any other kind stays as it is.
        init: `normal` truncates the normal distribution of a convolution at twice its standard deviation. `kaiming` is
            that of He et al. (2015), with a standard deviation of sqrt(2 / inputs).
    """
    if not isinstance(module, nn.Conv2d | nn.Linear):
        return
    if init == "kaiming":
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    elif isinstance(module, nn.Conv2d):
        nn.init.trunc_normal_(module.weight, std=SPREAD, a=-2 * SPREAD, b=2 * SPREAD)
    else:
        nn.init.normal_(module.weight, std=SPREAD)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
