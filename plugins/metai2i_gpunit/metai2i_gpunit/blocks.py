"""Layers of GP-UNIT's networks (Yang et al., 2022; williamyang1991/GP-UNIT is the official repository)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu
from torch.nn.utils.parametrizations import spectral_norm

SLOPE = 0.2
"""Of leaky ReLUs."""


def initialise(layer: nn.Module) -> nn.Module:
    """Draw the weights of a convolution or linear layer by He's normal distribution, with biases of 0; return it."""
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    nn.init.kaiming_normal_(layer.weight, mode="fan_in")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def plain_conv(before: int, after: int, kernel: int = 3, *, reflect: bool = False, bias: bool = True) -> nn.Module:
    """Return a convolution that keeps the size."""
    mode: Literal["reflect", "zeros"] = "reflect" if reflect else "zeros"
    return initialise(nn.Conv2d(before, after, kernel, padding=kernel // 2, padding_mode=mode, bias=bias))


def doubled(features: Tensor) -> Tensor:
    """Return (B, C, 2h, 2w) of (B, C, h, w), by nearest neighbour."""
    return interpolate(features, scale_factor=2.0, mode="nearest")


class StyleNorm(nn.Module):
    """Normalises each channel of each image, then scales and shifts it by what a style says (AdaIN).

    Scales begin around 1. The published initialisation sets them to 0 by mistake, with all biases.

    Args:
        features: C.
        style: length of the style.
    """

    def __init__(self, features: int, style: int) -> None:
        super().__init__()
        self.norm, self.fc = nn.InstanceNorm2d(features), nn.Linear(style, 2 * features)
        initialise(self.fc)
        nn.init.ones_(self.fc.bias[:features])

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """Return (B, C, h, w) of features (B, C, h, w) and styles (B, S)."""
        scale, shift = self.fc(style)[:, :, None, None].chunk(2, 1)
        modulated: Tensor = scale * self.norm(features) + shift
        return modulated


class SpectralConv(nn.Module):
    """A convolution under spectral norm with reflected borders.

    Args:
        before: features that go in.
        after: features that come out.
        kernel: pixels a side.
        stride: 2 to halve the size.
        padding: pixels at each border; half of the kernel when None.
    """

    def __init__(self, before: int, after: int, kernel: int = 3, stride: int = 1, padding: int | None = None) -> None:
        super().__init__()
        padding = kernel // 2 if padding is None else padding
        conv = nn.Conv2d(before, after, kernel, stride, padding, padding_mode="reflect")
        self.conv = spectral_norm(initialise(conv))

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, after, h, w) of (B, before, h, w), or half of h and w."""
        outputs: Tensor = self.conv(features)
        return outputs


class NormedConv(SpectralConv):
    """The same, with each channel of each image normalised behind it, and then a leaky ReLU."""

    def __init__(self, before: int, after: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(before, after, kernel, stride)
        self.norm = nn.InstanceNorm2d(after)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, after, h, w) of (B, before, h, w), or half of h and w."""
        return leaky_relu(self.norm(super().forward(features)), SLOPE)
