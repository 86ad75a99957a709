"""`Coarse`, the generator of PG2's first stage (G1 of Ma et al., "Pose Guided Person Image Generation", 2017)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from metai2i_pg2.layers import convolution, initialise


class Coarse(nn.Module):
    """A residual U-Net with a fully connected bottleneck, which binds it to one size.

    Args:
        channels: channels of the input.
        size: (H, W) of the images, each divisible by 2**downs.
        width: channels at full resolution; level by level inwards there are as many more.
        downs: how many times the resolution is halved: 4 for 128x64 and 5 for 256x256, as published.
        latent: what all positions are squeezed into.
    """

    def __init__(
        self, channels: int, size: tuple[int, int], width: int = 128, downs: int = 4, latent: int = 64
    ) -> None:
        super().__init__()
        widths = [width * (level + 1) for level in range(downs + 1)]
        height, breadth = (side >> downs for side in size)
        self.grid = (width, height, breadth)
        self.stem = convolution(channels, width)
        self.encoder = nn.ModuleList(map(Residual, widths))
        self.down = nn.ModuleList(convolution(before, after, stride=2) for before, after in pairwise(widths))
        self.squeeze = nn.Linear(widths[-1] * height * breadth, latent)
        self.spread = nn.Linear(latent, width * height * breadth)
        # What a decoder level sees: the features of the level inside, and as many of the encoder's.
        joined = [2 * same for same in widths[:-1]] + [width + widths[-1]]
        self.decoder = nn.ModuleList(map(Residual, joined))
        self.up = nn.ModuleList(
            convolution(inside, outside, kernel=1) for inside, outside in zip(joined[1:], widths, strict=False)
        )
        self.head = nn.Conv2d(joined[0], 3, 3, padding=1)
        self.apply(initialise)

    def forward(self, features: Tensor) -> Tensor:
        """Return coarse images (B, 3, H, W), around [-1, 1] but not bound to it, for (B, C, H, W)."""
        features = self.encoder[0](self.stem(features))
        skips = [features]
        for down, block in zip(self.down, self.encoder[1:], strict=True):
            skips.append(block(down(skips[-1])))
        features = self.spread(self.squeeze(skips[-1].flatten(1))).unflatten(1, self.grid)
        for level in range(len(skips) - 1, -1, -1):
            features = self.decoder[level](torch.cat([features, skips[level]], dim=1))
            if level > 0:
                features = self.up[level - 1](interpolate(features, scale_factor=2))
        images: Tensor = self.head(features)
        return images


class Residual(nn.Module):
    """Two convolutions around which the input is carried."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(convolution(width, width), convolution(width, width))

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, width, H, W) to the same."""
        carried: Tensor = features + self.branch(features)
        return carried
