"""Convolutions of SPADE (Park et al., 2019): with spectral norm, and called with a guide beside the features."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.utils.parametrizations import spectral_norm

Padding = Literal["zeros", "reflect"]
GAIN = 0.02
"""Of Xavier's normal distribution, for all weights of the published networks."""


class GuidedConv2d(nn.Conv2d):
    """A convolution that is called with a guide beside its features, and does not look at it."""

    def forward(self, features: Tensor, guide: object = None) -> Tensor:
        """Return features (B, after, h, w)."""
        return super().forward(features)


class Nearest(nn.Module):
    """Doubles height and width by repeating; is called with a guide, which it does not look at."""

    def forward(self, features: Tensor, guide: object = None) -> Tensor:
        """Return features (B, C, 2h, 2w)."""
        return interpolate(features, scale_factor=2.0, mode="nearest")


def initialise(module: nn.Module) -> None:
    """Draw weights of a convolution or linear layer by Xavier's normal distribution of gain 0.02; biases are 0."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_normal_(module.weight, GAIN)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def plain_conv(
    before: int, after: int, kernel: int = 3, *, stride: int = 1, bias: bool = True, padding: Padding = "zeros"
) -> GuidedConv2d:
    """Return a convolution that keeps the size at stride 1 and halves it at stride 2; its kernel is odd."""
    conv = GuidedConv2d(before, after, kernel, stride, kernel // 2, bias=bias, padding_mode=padding)
    initialise(conv)
    return conv


def spectral_conv(
    before: int, after: int, kernel: int = 3, *, stride: int = 1, bias: bool = True, padding: Padding = "zeros"
) -> nn.Module:
    """Return the same with its weight divided by its largest singular value (Miyato et al., 2018).

    That value is followed by one power iteration for each forward pass in training mode, and rests otherwise.
    """
    return spectral_norm(plain_conv(before, after, kernel, stride=stride, bias=bias, padding=padding))
