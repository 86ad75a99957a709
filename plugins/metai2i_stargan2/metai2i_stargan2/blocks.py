"""Residual blocks of StarGAN v2 (Choi et al., 2020, appendix; clovaai/stargan-v2 is the official repository)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu


def initialise(module: nn.Module) -> None:
    """Draw weights of a convolution or linear layer by He's normal distribution; biases are 0."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class ResidualBlock(nn.Module):
    """Two convolutions, each behind its activation, beside a shortcut; their sum keeps the variance.

    Args:
        before: features that go in.
        after: features that come out.
        norm: whether features are normalised, each channel of each image by itself.
        down: whether height and width are halved.
    """

    def __init__(self, before: int, after: int, *, norm: bool = False, down: bool = False) -> None:
        super().__init__()
        self.down = down
        self.norm1 = nn.InstanceNorm2d(before, affine=True) if norm else nn.Identity()
        self.norm2 = nn.InstanceNorm2d(before, affine=True) if norm else nn.Identity()
        self.conv1, self.conv2 = nn.Conv2d(before, before, 3, 1, 1), nn.Conv2d(before, after, 3, 1, 1)
        self.conv1x1 = nn.Conv2d(before, after, 1, bias=False) if before != after else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, after, h, w), or half of h and w, of (B, before, h, w)."""
        shortcut = self._halved(self.conv1x1(features))
        features = self._halved(self.conv1(leaky_relu(self.norm1(features), 0.2)))
        features = self.conv2(leaky_relu(self.norm2(features), 0.2))
        return (shortcut + features) / math.sqrt(2)

    def _halved(self, features: Tensor) -> Tensor:
        return avg_pool2d(features, 2) if self.down else features


class StyleNorm(nn.Module):
    """Normalises each channel of each image, then scales and shifts it by what a style says (AdaIN, with 1 + scale).

    Args:
        features: C.
        style: length of the style.
    """

    def __init__(self, features: int, style: int) -> None:
        super().__init__()
        self.norm, self.fc = nn.InstanceNorm2d(features), nn.Linear(style, 2 * features)

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """Return (B, C, h, w) of features (B, C, h, w) and styles (B, S)."""
        scale, shift = self.fc(style)[:, :, None, None].chunk(2, 1)
        modulated: Tensor = (1 + scale) * self.norm(features) + shift
        return modulated


class StyledBlock(nn.Module):
    """A residual block that a style modulates.

    Args:
        before: features that go in.
        after: features that come out.
        style: length of the style.
        up: whether height and width are doubled.
        shortcut: whether there is one: there is none beside a high-pass skip.
    """

    def __init__(self, before: int, after: int, style: int, *, up: bool = False, shortcut: bool = True) -> None:
        super().__init__()
        self.up, self.shortcut = up, shortcut
        self.norm1, self.norm2 = StyleNorm(before, style), StyleNorm(after, style)
        self.conv1, self.conv2 = nn.Conv2d(before, after, 3, 1, 1), nn.Conv2d(after, after, 3, 1, 1)
        self.conv1x1: nn.Module = nn.Identity()
        if shortcut and before != after:
            self.conv1x1 = nn.Conv2d(before, after, 1, bias=False)

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """Return (B, after, h, w), or twice h and w, of (B, before, h, w) and styles (B, S)."""
        changed: Tensor = self.conv1(self._doubled(leaky_relu(self.norm1(features, style), 0.2)))
        changed = self.conv2(leaky_relu(self.norm2(changed, style), 0.2))
        if not self.shortcut:
            return changed
        total: Tensor = changed + self.conv1x1(self._doubled(features))
        return total / math.sqrt(2)

    def _doubled(self, features: Tensor) -> Tensor:
        return interpolate(features, scale_factor=2.0, mode="nearest") if self.up else features


class HighPass(nn.Module):
    """Keeps the details of features: what a pixel differs by from its eight neighbours, divided by a weight.

    Args:
        weight: the larger, the fainter the details.
    """

    kernel: Tensor

    def __init__(self, weight: float) -> None:
        super().__init__()
        kernel = torch.full((3, 3), -1.0)
        kernel[1, 1] = 8.0
        self.register_buffer("kernel", kernel / weight, persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, C, h, w) of (B, C, h, w)."""
        channels = features.shape[1]
        kernel = self.kernel.to(features).expand(channels, 1, 3, 3)
        return torch.nn.functional.conv2d(features, kernel, padding=1, groups=channels)
