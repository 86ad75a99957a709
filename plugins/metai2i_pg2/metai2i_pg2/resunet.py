"""`ResUNet`, the generator of PG2 in one stage, as the BiL paper uses it."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv_transpose2d, pad, relu

from metai2i.losses import initialise


class ResUNet(nn.Module):
    """A U-Net whose levels are a convolution that halves or doubles the resolution, and a residual block.

    The BiL paper (Ma et al., 2019) says no more of it than that. Ours is the rest: widths; 4x4 convolutions of stride 2
    to halve, nearest neighbours and 3x3 convolutions to double; instance normalisation with scale and shift behind
    every convolution but the first and the last.

    Args:
        channels: channels of the input.
        width: channels at full resolution; they double at every level inwards.
        downs: how many times the resolution is halved, at least 1; height and width must be divisible by 2**downs.
        widest: where doubling ends.
    """

    def __init__(self, channels: int, width: int = 64, downs: int = 5, widest: int = 512) -> None:
        super().__init__()
        widths = [min(2**level * width, widest) for level in range(downs + 1)]
        # A decoder level gets the features of the level inside, joined with that level's skip (but for the innermost).
        inner = [2 * inside for inside in widths[1:-1]] + widths[-1:]
        self.stem = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 4, 2, 1), *normalised(after), Residual(after))
            for before, after in pairwise(widths)
        )
        self.up = nn.ModuleList(
            nn.Sequential(Doubling(inside, after), *normalised(after), Residual(after))
            for inside, after in zip(inner, widths, strict=False)
        )
        self.head = nn.Conv2d(2 * widths[0], 3, 3, padding=1)
        self.apply(initialise)

    def forward(self, features: Tensor) -> Tensor:
        """Return images (B, 3, H, W) in [-1, 1] for structures and references, joined to (B, C, H, W)."""
        skips = [relu(self.stem(features))]
        for down in self.down:
            skips.append(down(skips[-1]))
        features = skips.pop()
        for up, skip in zip(reversed(self.up), reversed(skips), strict=True):
            features = torch.cat([up(features), skip], dim=1)
        images: Tensor = self.head(features).tanh()
        return images


class Doubling(nn.Module):
    """Nearest neighbours, then a 3x3 convolution, in one: less than half of the work, and no image of copies.

    Of the nine positions that the kernel sees in a doubled image, those that are copies of one may share one weight,
    the sum of theirs. That makes the two a transposed convolution of stride 2 by the kernel's 2x2 window sums.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, after, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, before, H, W) to (B, after, 2H, 2W)."""
        kernel = self.convolution.weight.transpose(0, 1).flip(2, 3)  # (before, after, 3, 3)
        kernel = pad(kernel, (0, 0, 0, 1)) + pad(kernel, (0, 0, 1, 0))
        kernel = pad(kernel, (0, 1)) + pad(kernel, (1, 0))
        return conv_transpose2d(features, kernel, self.convolution.bias, stride=2, padding=1)


class Residual(nn.Module):
    """Two normalised convolutions around which the input is carried."""

    def __init__(self, width: int) -> None:
        super().__init__()
        first, second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.branch = nn.Sequential(first, *normalised(width), second, nn.InstanceNorm2d(width, affine=True))

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, width, H, W) to the same."""
        return relu(features + self.branch(features))


def normalised(width: int) -> tuple[nn.Module, nn.Module]:
    """Return what follows a convolution."""
    return nn.InstanceNorm2d(width, affine=True), nn.ReLU()
