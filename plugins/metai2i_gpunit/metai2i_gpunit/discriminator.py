"""`Discriminator` of GP-UNIT: StarGAN v2's, under spectral norm and for a single domain, and the style that it sees."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, leaky_relu
from torch.nn.utils.parametrizations import spectral_norm

from metai2i_gpunit.blocks import SLOPE, initialise
from metai2i_gpunit.sizes import Widths

SMALLEST = 4
"""Pixels a side of what is judged in the end."""


def _conv(before: int, after: int, kernel: int = 3, padding: int = 1, *, bias: bool = True) -> nn.Module:
    conv: nn.Module = spectral_norm(initialise(nn.Conv2d(before, after, kernel, 1, padding, bias=bias)))
    return conv


class Halving(nn.Module):
    """Two convolutions that halve height and width, beside a shortcut; their sum keeps the variance.

    Args:
        before: features that go in.
        after: features that come out.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = _conv(before, before), _conv(before, after)
        self.shortcut: nn.Module = nn.Identity()
        if before != after:
            self.shortcut = _conv(before, after, 1, 0, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, after, h / 2, w / 2) of (B, before, h, w)."""
        changed = avg_pool2d(self.conv1(leaky_relu(features, SLOPE)), 2)
        changed = self.conv2(leaky_relu(changed, SLOPE))
        total: Tensor = avg_pool2d(self.shortcut(features), 2) + changed
        return total / math.sqrt(2)


class Discriminator(nn.Module):
    """Says of an image whether it is a photograph.

    Args:
        widths: features at each size.
        style_layer: behind which of its layers a style is seen, counted from the first convolution; 4 as published, 5
            for faces.
    """

    def __init__(self, widths: Widths, style_layer: int = 4) -> None:
        super().__init__()
        sides = [side for side in reversed(widths.sides) if side > SMALLEST]
        self.first = _conv(3, widths.judged(widths.side))
        self.halvings = nn.ModuleList(Halving(widths.judged(side), widths.judged(side // 2)) for side in sides)
        features = widths.judged(SMALLEST)
        self.last, self.to_logit = _conv(features, features, SMALLEST, 0), _conv(features, 1, 1, 0)
        self.seen = min(style_layer - 1, len(self.halvings))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B,) and styles (B, F), of images (B, 3, H, W) in [-1, 1]."""
        features = self.first(images)
        style = features.mean((2, 3))
        for number, halving in enumerate(self.halvings, 1):
            features = halving(features)  # (B, F, side, side)
            if number == self.seen:
                style = features.mean((2, 3))
        features = leaky_relu(self.last(leaky_relu(features, SLOPE)), SLOPE)
        return self.to_logit(features).flatten(), style
