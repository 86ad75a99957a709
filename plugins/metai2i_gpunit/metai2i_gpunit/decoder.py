"""What GP-UNIT's prior is distilled by: `StyleStatistics`, `Decoder` and `ClassAdversary`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu, relu

from metai2i_gpunit.blocks import SLOPE, NormedConv, SpectralConv, StyleNorm, doubled, initialise
from metai2i_gpunit.sizes import CODE, SHAPE, Widths

EMBEDDING = 128
"""Length of what stands for a class."""
Statistics = Mapping[int, tuple[Tensor, Tensor]]
"""Mean and standard deviation, each (B, C, 1, 1), of features by their sides."""


def styled_sides(widths: Widths) -> tuple[int, ...]:
    """Return the sizes at which an image's own style is put in: those above the shape's, up to half of the image's; of
    the smallest images the shape's.
    """
    return tuple(side for side in widths.sides if SHAPE < side < widths.side) or (SHAPE,)


class StyleStatistics(nn.Module):
    """The style of an image, as means and deviations of features at several sizes.

    The published network has three more layers, below 32 pixels, which nothing reads: they are not there.

    Args:
        widths: features at each size.
    """

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.sides = tuple(reversed(styled_sides(widths)))
        before = (3, *map(widths.at, self.sides))
        self.convs = nn.ModuleList(
            SpectralConv(before[n], widths.at(side), stride=2) for n, side in enumerate(self.sides)
        )

    def forward(self, images: Tensor) -> Statistics:
        """Return the statistics of images (B, 3, H, W) in [-1, 1]."""
        statistics, features = {}, images
        for side, conv in zip(self.sides, self.convs, strict=True):
            features = leaky_relu(conv(features), SLOPE)  # (B, C, side, side)
            statistics[side] = features.mean((2, 3), keepdim=True), features.std((2, 3), keepdim=True)
        return statistics


class ClassConv(nn.Module):
    """A convolution that a class modulates, and a ReLU."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv, self.norm = SpectralConv(features, features), StyleNorm(features, EMBEDDING)

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        """Return (B, C, h, w) of (B, C, h, w) and classes (B, 128)."""
        return relu(self.norm(self.conv(features), embedding))


class StatisticsConv(nn.Module):
    """A convolution whose normalised features get the mean and deviation of an image's, and a ReLU."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv, self.norm = SpectralConv(before, after), nn.InstanceNorm2d(after)

    def forward(self, features: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
        """Return (B, after, h, w) of (B, before, h, w), and of means and deviations (B, after, 1, 1)."""
        return relu(self.norm(self.conv(features)) * deviation + mean)


class Decoder(nn.Module):
    """Draws a code: its shape at 16 pixels, as its class would have it, and then the image with a style of its own.

    Args:
        widths: features at each size.
    """

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        widest = widths.at(CODE)
        self.first = NormedConv(1, widest, 1)
        self.coarse = nn.ModuleList(ClassConv(widest) for _ in range(4))
        self.shape = ClassConv(widest)
        self.to_mask = SpectralConv(widest, 3)
        self.sides, self.side = styled_sides(widths), widths.side
        before = (widest, *map(widths.at, self.sides))
        self.styled = nn.ModuleList(StatisticsConv(before[n], widths.at(side)) for n, side in enumerate(self.sides))
        self.last = SpectralConv(widths.at(self.sides[-1]), 3)

    def forward(self, code: Tensor, embedding: Tensor, style: Statistics) -> tuple[Tensor, Tensor]:
        """Return images (B, 3, H, W) and masks (B, 3, 16, 16), both in [-1, 1].

        Args:
            code: (B, 1, 8, 8).
            embedding: (B, 128), of a class.
            style: of images.
        """
        features = self._shaped(code, embedding)
        mask = self.to_mask(features).tanh()
        for side, layer in zip(self.sides, self.styled, strict=True):
            features = layer(_resized(features, side), *style[side])  # (B, C, side, side)
        return self.last(_resized(features, self.side)).tanh(), mask

    def shapes(self, code: Tensor, embedding: Tensor) -> Tensor:
        """Return the masks alone, (B, 3, 16, 16) in [-1, 1]."""
        masks: Tensor = self.to_mask(self._shaped(code, embedding)).tanh()
        return masks

    def _shaped(self, code: Tensor, embedding: Tensor) -> Tensor:
        features = self.first(code)
        for layer in self.coarse:
            features = layer(features, embedding)  # (B, C, 8, 8)
        shaped: Tensor = self.shape(doubled(features), embedding)  # (B, C, 16, 16)
        return shaped


def _resized(features: Tensor, side: int) -> Tensor:
    return interpolate(features, (side, side), mode="nearest") if features.shape[-1] != side else features


class Reversed(torch.autograd.Function):
    """Hands its input on, and turns the sign of the gradient."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        """Return the features."""
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Return the gradient of the other sign."""
        return -gradients[0]


class ClassAdversary(nn.Module):
    """Tells classes apart by codes; through reversed gradients, codes come to say nothing of their class.

    Args:
        classes: how many there are.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([SpectralConv(1, 32, stride=2), SpectralConv(32, 64)])
        self.convs.append(SpectralConv(64, classes, 4, padding=0))
        self.fc = initialise(nn.Linear(classes, classes))

    def forward(self, code: Tensor) -> Tensor:
        """Return logits (B, classes) of codes (B, 1, 8, 8); their gradient reaches the codes reversed."""
        features: Tensor = Reversed.apply(code)
        for conv in self.convs:
            features = leaky_relu(conv(features), SLOPE)
        logits: Tensor = self.fc(features.flatten(1))
        return logits
