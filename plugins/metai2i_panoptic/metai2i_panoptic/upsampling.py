"""`PanopticUpsample`: doubles the resolution of features without mixing instances.

After the description in Dundar et al., "Panoptic-based Image Synthesis" (2020), whose source is not public. Ids of the
smaller resolution are those of every other row and column, from the first, as nearest neighbour takes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from metai2i_panoptic.convolution import PanopticConv2d

HoleFill = Literal["conv", "nearest"]
Neighbours = Literal["four", "nine"]

FOUR = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Where a feature is looked for, in this order, as rows and columns from the pixel's own cell: itself, right, below,
diagonal."""
NINE = (*FOUR, (0, -1), (-1, 0), (-1, -1), (-1, 1), (1, -1))
"""The same, and then the cells on the other sides."""
CELLS: dict[Neighbours, tuple[tuple[int, int], ...]] = {"four": FOUR, "nine": NINE}


def doubled(tensor: Tensor) -> Tensor:
    """Return (..., 2h, 2w) of (..., h, w), each value four times; whole numbers stay exact."""
    return tensor.repeat_interleave(2, -2).repeat_interleave(2, -1)


def shifted(tensor: Tensor, down: int, right: int) -> Tensor:
    """Return the view (..., h, w) that holds at each position what lies `down` rows below and `right` columns right of
    it, each -1, 0 or 1; beyond the border are zeros."""
    height, width = tensor.shape[-2:]
    around = pad(tensor, [1, 1, 1, 1])
    return around[..., 1 + down : 1 + down + height, 1 + right : 1 + right + width]


def aligned(
    features: Tensor, ids: Tensor, above: Tensor, cells: Sequence[tuple[int, int]] = FOUR
) -> tuple[Tensor, Tensor]:
    """Return for each pixel the feature of the first of its cells that has its id, and where there is one.

    out(i, j) = F(c) and A(i, j) = 1 for the first cell c of (i//2, j//2) + `cells` with p(c) = P(i, j), else both 0.

    Args:
        features: F, (B, C, h, w).
        ids: p, (B, h, w) whole numbers.
        above: P, (B, 2h, 2w) whole numbers.
        cells: where to look, and in which order.

    Returns:
        (B, C, 2h, 2w) features, and (B, 1, 2h, 2w) bool.
    """
    inside = torch.ones((1, *ids.shape[-2:]), dtype=torch.bool, device=ids.device)
    out = torch.zeros((*features.shape[:2], *above.shape[-2:]), dtype=features.dtype, device=features.device)
    matched = torch.zeros((ids.shape[0], 1, *above.shape[-2:]), dtype=torch.bool, device=ids.device)
    for down, right in reversed(cells):  # an earlier one is put over a later one
        same = doubled(shifted(ids, down, right)) == above
        match = (same & doubled(shifted(inside, down, right)))[:, None]
        out = torch.where(match, doubled(shifted(features, down, right)), out)
        matched = matched | match
    return out, matched


class NearestUpsample(nn.Module):
    """out(i, j) = F(i//2, j//2): ids are not looked at."""

    def forward(self, features: Tensor, ids: Tensor, above: Tensor, structure: Tensor) -> Tensor:
        """Return features (B, C, 2h, 2w); arguments as `PanopticUpsample` has them."""
        return doubled(features)


class PanopticUpsample(nn.Module):
    """out = A F' + (1 - A) H: features F' that are aligned with the finer ids, and what fills the holes.

    A pixel is a hole where none of the cells around has its instance, as where an instance is too thin to be there at
    the smaller resolution.

    Args:
        features: C, channels.
        channels: L, of the label map.
        hole_fill: what H is. conv: a panoptic-aware convolution of the label map at the finer resolution, so that it
            keeps instances apart too. nearest: the feature of the pixel's own cell, whoever's it is.
        neighbours: where F' is looked for: four cells (own, right, below, diagonal), or all nine around.
    """

    def __init__(
        self, features: int, channels: int, hole_fill: HoleFill = "conv", neighbours: Neighbours = "four"
    ) -> None:
        super().__init__()
        self.cells = CELLS[neighbours]
        self.fill = PanopticConv2d(channels, features) if hole_fill == "conv" else None

    def forward(self, features: Tensor, ids: Tensor, above: Tensor, structure: Tensor) -> Tensor:
        """Return features (B, C, 2h, 2w).

        Args:
            features: F, (B, C, h, w).
            ids: (B, h, w) whole numbers.
            above: (B, 2h, 2w) whole numbers, the same map at twice the resolution.
            structure: (B, L, 2h, 2w), the label map at that resolution.
        """
        out, matched = aligned(features, ids, above, self.cells)
        filled = doubled(features) if self.fill is None else self.fill(structure, above)
        return torch.where(matched, out, filled.to(out.dtype))
