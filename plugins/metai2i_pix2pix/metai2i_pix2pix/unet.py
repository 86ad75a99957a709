"""`UNet`, the generator of Pix2pix (Isola et al., 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout as drop
from torch.nn.functional import leaky_relu, relu, tanh

from metai2i.losses import Norm, initialise, normalisation


class UNet(nn.Module):
    """An encoder of stride-2 convolutions and a decoder that sees the encoder's features of the same resolution.

    Args:
        channels: channels of the input.
        width: channels after the first convolution; they double at each of the next three.
        downs: how many times the resolution is halved, at least 1; height and width must be divisible by 2**downs.
        norm: "instance" or "batch", everywhere but after the first and the innermost convolution.
    """

    def __init__(self, channels: int, width: int = 64, downs: int = 7, norm: Norm = "instance") -> None:
        super().__init__()
        widths = [min(2**level, 8) * width for level in range(downs)]
        bias = norm == "instance"  # batch normalisation has its own
        self.down = nn.ModuleList(
            nn.Conv2d(before, after, 4, 2, 1, bias=bias)
            for before, after in zip([channels, *widths], widths, strict=False)
        )
        self.down_norm = nn.ModuleList(
            normalisation(norm, after) if 0 < level < downs - 1 else nn.Identity() for level, after in enumerate(widths)
        )
        # Decoder layers stand at the level whose convolution they undo; the innermost has no skip connection.
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(inside * (1 if level == downs - 1 else 2), outside, 4, 2, 1, bias=bias or level == 0)
            for level, (inside, outside) in enumerate(zip(widths, [3, *widths], strict=False))
        )
        self.dropping = range(4, downs - 1)
        """The levels whose decoder layers drop features; where the U-Net is shallow there are none."""
        self.up_norm = nn.ModuleList(normalisation(norm, outside) for outside in widths[:-1])
        self.apply(initialise)

    def forward(self, structure: Tensor, dropout: bool = False) -> Tensor:
        """Return images (B, 3, H, W) in [-1, 1] for structures (B, C, H, W).

        With `dropout`, half of the features of the inner, widest decoder layers are dropped; this is all the noise
        that Pix2pix has. It is an argument and not the module's mode, so that a call does the same in any mode.
        """
        skips: list[Tensor] = []
        features = structure
        for level, (convolution, norm) in enumerate(zip(self.down, self.down_norm, strict=True)):
            features = norm(convolution(leaky_relu(features, 0.2) if level else features))
            skips.append(features)
        innermost = len(self.up) - 1
        for level in range(innermost, -1, -1):
            if level < innermost:
                features = torch.cat([skips[level], features], dim=1)
            features = self.up[level](relu(features))
            if level > 0:
                features = self.up_norm[level - 1](features)
                if dropout and level in self.dropping:
                    features = drop(features, 0.5)
        return tanh(features)
