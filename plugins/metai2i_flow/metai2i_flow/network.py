"""`TimedUNet`, a small residual U-Net that is told the time on the path (after Ho et al., "Denoising Diffusion
Probabilistic Models", 2020, without attention)."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle, pixel_unshuffle, silu

WIDTHS = (1, 2, 3)
"""Channels of each level, in widths."""
DIVISOR = 2 * 2 ** (len(WIDTHS) - 1)
"""What height and width must be divisible by: pixels are folded once, and each further level halves them."""
WAVES = 8
"""How many frequencies tell the time."""


def group_norm(channels: int) -> nn.GroupNorm:
    """Return a normalisation by groups of four channels or more; by single ones colour and time would be lost in it."""
    return nn.GroupNorm(math.gcd(8, max(1, channels // 4)), channels)


class Block(nn.Module):
    """A residual block whose features are scaled and shifted by the time; without effect at the start of training."""

    def __init__(self, channels: int, after: int, time: int) -> None:
        super().__init__()
        self.norm, self.convolution = group_norm(channels), nn.Conv2d(channels, after, 3, padding=1)
        self.film = nn.Linear(time, 2 * after)
        self.last_norm, self.last = group_norm(after), nn.Conv2d(after, after, 3, padding=1)
        self.skip = nn.Identity() if channels == after else nn.Conv2d(channels, after, 1)
        for parameter in (*self.film.parameters(), *self.last.parameters()):
            nn.init.zeros_(parameter)

    def forward(self, features: Tensor, time: Tensor) -> Tensor:
        """Return features (B, after, H, W) for (B, C, H, W) and an embedded time (B, T)."""
        inside = self.last_norm(self.convolution(silu(self.norm(features))))
        scale, shift = self.film(time)[..., None, None].chunk(2, 1)
        changed: Tensor = self.skip(features) + self.last(silu(inside * (1 + scale) + shift))
        return changed


class TimedUNet(nn.Module):
    """Folds 2x2 pixels into channels, goes down two levels and up again, with a block at each level of each way.

    Args:
        channels: channels of the input.
        width: channels of the first level; the next have two and three times as many.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        time, widths = 4 * width, [factor * width for factor in WIDTHS]
        self.embed = nn.Sequential(nn.Linear(2 * WAVES, time), nn.SiLU(), nn.Linear(time, time), nn.SiLU())
        self.first = nn.Conv2d(4 * channels, width, 3, padding=1)
        self.down = nn.ModuleList(Block(each, each, time) for each in widths)
        self.shrink = nn.ModuleList(nn.Conv2d(before, after, 3, 2, 1) for before, after in pairwise(widths))
        self.middle = Block(widths[-1], widths[-1], time)
        self.grow = nn.ModuleList(nn.Conv2d(before, after, 3, padding=1) for after, before in pairwise(widths))
        self.up = nn.ModuleList(Block(2 * each, each, time) for each in widths)
        self.norm, self.last = group_norm(width), nn.Conv2d(width, 4 * 3, 3, padding=1)

    def forward(self, given: Tensor, time: Tensor) -> Tensor:
        """Return (B, 3, H, W), unbounded, for (B, C, H, W) and times (B,) in [0, 1]."""
        waves = torch.pi * time[:, None] * torch.arange(1, WAVES + 1, device=time.device)
        embedded = self.embed(torch.cat([waves.cos(), waves.sin()], 1))  # (B, 4 width)
        features = self.first(pixel_unshuffle(given, 2))  # (B, width, H/2, W/2)
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            features = block(features, embedded)
            skips.append(features)
            if level < len(self.shrink):
                features = self.shrink[level](features)  # (B, (level + 2) width, ...)
        features = self.middle(features, embedded)
        for level in range(len(self.up) - 1, -1, -1):
            features = self.up[level](torch.cat([features, skips[level]], 1), embedded)
            if level:
                features = self.grow[level - 1](interpolate(features, scale_factor=2.0))
        return pixel_shuffle(self.last(silu(self.norm(features))), 2)
