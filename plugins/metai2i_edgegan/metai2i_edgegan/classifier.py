"""`Classifier` of EdgeGAN: masked residual units (Chen and Hays, "SketchyGAN", 2018) that see an image at each size."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, leaky_relu
from torch.nn.utils.parametrizations import spectral_norm

GATE = 0.5
"""Bias of a unit's gate before training."""
NOTHING = -1e4
"""Logit of a class that an image cannot be of."""
_LEAST = 1e-6
"""The least range of a gate that is brought to [0, 1]."""


def convolution(before: int, after: int, kernel: int) -> nn.Module:
    """Return a convolution that keeps height and width, divided by its largest singular value."""
    layer = nn.Conv2d(before, after, kernel, padding=kernel // 2)
    nn.init.xavier_uniform_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    normed: nn.Module = spectral_norm(layer)
    return normed


class MaskedResidual(nn.Module):
    """A unit that lets in what a gate leaves of an image, adds two convolutions, and halves height and width.

    Args:
        before: features that go in.
        after: features that come out.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.gate = convolution(before + 3, before, 3)
        nn.init.constant_(self.gate.get_parameter("bias"), GATE)
        self.image = convolution(3, before, 3)
        self.first, self.second = convolution(before, after, 3), convolution(after, after, 3)
        self.shortcut = convolution(before, after, 1) if before != after else nn.Identity()
        self.slopes = nn.ModuleList(nn.PReLU(init=0.2) for _ in range(3))

    def forward(self, features: Tensor, images: Tensor) -> Tensor:
        """Return (B, after, h/2, w/2) of features (B, before, h, w) and images (B, 3, h, w)."""
        gate = leaky_relu(self.gate(torch.cat([self.slopes[0](features), images], 1)), 0.2)
        low, high = gate.amin((2, 3), keepdim=True), gate.amax((2, 3), keepdim=True)
        gate = (gate - low) / (high - low).clamp_min(_LEAST)
        changed = self.slopes[1](features + gate * self.image(images))
        changed = self.second(self.slopes[2](self.first(changed)))
        return avg_pool2d(self.shortcut(features) + changed, 2)


class Classifier(nn.Module):
    """Says of which class an image is. The released one has a second output besides, which nothing reads.

    Its spectral vectors, which the released code never updates, follow the weights.

    Args:
        width: half of the features of the first unit; the others have 4, 8 and 12 times as many as it.
        classes: how many classes there are.
        spare: whether there is a further one, which training does not know.
    """

    def __init__(self, width: int, classes: int, *, spare: bool = True) -> None:
        super().__init__()
        widths = (max(1, width // 8), 2 * width, 4 * width, 8 * width, 12 * width)
        self.first = convolution(3, widths[0], 7)
        self.slopes = nn.ModuleList(nn.PReLU(init=0.2) for _ in range(2))
        self.units = nn.ModuleList(MaskedResidual(widths[n], widths[n + 1]) for n in range(4))
        layer = nn.Linear(widths[-1], classes)
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
        self.linear = spectral_norm(layer)
        self.spare_weight = nn.Parameter(torch.zeros(widths[-1])) if spare else None
        self.spare_bias = nn.Parameter(torch.zeros(1)) if spare else None

    def forward(self, images: Tensor, domain: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B, K), or (B, K + 1) with a spare class, of images (B, 3, H, W) in [-1, 1], and the place of
        each image's class among them (B,).

        All classes that are not known are the spare one, whose weights are the mean of the others' and a difference
        that begins as 0. Images of known classes cannot be of it.

        Args:
            images: of a multiple of 16 pixels a side.
            domain: the classes that images are meant to be of, (B,) int64; K or more for the spare one.
        """
        features = self.slopes[0](self.first(images))
        for unit in self.units:
            features, images = unit(features, images), avg_pool2d(images, 2)
        features = self.slopes[1](features).mean((2, 3))
        logits: Tensor = self.linear(features)
        if self.spare_weight is None or self.spare_bias is None:
            return logits, domain
        further = logits.mean(1) + features @ self.spare_weight + self.spare_bias
        known = domain < logits.shape[1]
        every = torch.cat([logits, further.masked_fill(known, NOTHING)[:, None]], 1)
        return every, domain.clamp(max=logits.shape[1])
