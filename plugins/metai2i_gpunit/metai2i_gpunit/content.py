"""`ContentEncoder` of GP-UNIT: what an image shows and where, without its look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import interpolate

from metai2i_gpunit.blocks import NormedConv
from metai2i_gpunit.sizes import CODE, Widths


@dataclass(frozen=True)
class Content:
    """What an encoder sees of images.

    Args:
        code: (B, 1, 8, 8). Each is normalised to mean 0 and variance 1 before its last activation, so that no number
            is beyond 8.
        features: (B, C, side, side) by their sides, from 8 up to half of the image's.
    """

    code: Tensor
    features: Mapping[int, Tensor]


class ContentEncoder(nn.Module):
    """Halves an image to 8 pixels a side, each channel normalised on its own, and sums it up in a single channel.

    Args:
        widths: features at each size; images of other sizes are resized to theirs.
    """

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.side = widths.side
        self.sides = tuple(reversed(widths.sides[:-1]))  # of what the levels give
        self.levels = nn.ModuleList()
        before = 3
        for side in self.sides:
            here, after = widths.at(2 * side), widths.at(side)
            self.levels.append(nn.Sequential(NormedConv(before, here), NormedConv(here, after, stride=2)))
            before = after
        self.last = nn.Sequential(NormedConv(before, before), NormedConv(before, 1))

    def forward(self, images: Tensor) -> Content:
        """Return the content of images (B, 3, H, W) in [-1, 1]."""
        if images.shape[-1] != self.side:
            images = interpolate(images, (self.side, self.side), mode="bilinear", align_corners=False)
        features, seen = images, {}  # (B, 3, S, S)
        for side, level in zip(self.sides, self.levels, strict=True):
            features = seen[side] = level(features)  # (B, C, side, side)
        assert features.shape[-1] == CODE
        return Content(self.last(features), seen)


def shown_code(code: Tensor, size: tuple[int, int]) -> Tensor:
    """Return codes (B, 1, 8, 8) as grey images (B, 3, H, W) in [-1, 1]: a number of 8 would be white."""
    return interpolate(code / CODE, size, mode="nearest").expand(-1, 3, -1, -1)
