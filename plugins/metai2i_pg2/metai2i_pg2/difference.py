"""`Difference`, the generator of PG2's second stage (G2 of Ma et al., "Pose Guided Person Image Generation", 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from metai2i_pg2.layers import convolution, initialise


class Difference(nn.Module):
    """A U-Net that draws what is to be added to a coarse image, given that image and the reference.

    Args:
        width: channels at full resolution and in the decoder; the encoder has as many more at every level inwards.
        downs: how many times the resolution is halved: 2 for 128x64 and 3 for 256x256, as published.
        outer_skip: whether the decoder sees the encoder's features at full resolution; published without for 128x64.
    """

    def __init__(self, width: int = 128, downs: int = 2, outer_skip: bool = True) -> None:
        super().__init__()
        widths = [width * (level + 1) for level in range(downs + 1)]
        self.stem = convolution(6, width)
        self.encoder = nn.ModuleList(
            nn.Sequential(convolution(before, after), convolution(after, after))
            for before, after in zip([width, *widths], widths, strict=False)
        )
        self.down = nn.ModuleList(convolution(same, same, stride=2) for same in widths[:-1])
        inside = [width] * downs + widths[-1:]
        skipped = [widths[0] if outer_skip else 0, *widths[1:]]
        self.decoder = nn.ModuleList(
            nn.Sequential(convolution(features + skip, width), convolution(width, width))
            for features, skip in zip(inside, skipped, strict=True)
        )
        self.outer_skip = outer_skip
        self.head = nn.Conv2d(width, 3, 3, padding=1)
        self.apply(initialise)

    def forward(self, coarse: Tensor, reference: Tensor) -> Tensor:
        """Return differences (B, 3, H, W) for coarse images and references of the same shape."""
        features = self.encoder[0](self.stem(torch.cat([coarse, reference], dim=1)))
        skips = [features]
        for down, block in zip(self.down, self.encoder[1:], strict=True):
            skips.append(block(down(skips[-1])))
        features = skips[-1]
        for level in range(len(skips) - 1, -1, -1):
            if level > 0 or self.outer_skip:
                features = torch.cat([features, skips[level]], dim=1)
            features = self.decoder[level](features)
            if level > 0:
                features = interpolate(features, scale_factor=2)
        difference: Tensor = self.head(features)
        return difference
