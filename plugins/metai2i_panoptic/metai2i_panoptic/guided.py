"""The layers as SPADE's generator calls its own: with the features and a guide, which has ids beside the label map."""

from __future__ import annotations

import torch
from metai2i_spade import Guide, initialise
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from metai2i_panoptic.convolution import CONVOLUTIONS, Aware
from metai2i_panoptic.upsampling import HoleFill, NearestUpsample, Neighbours, PanopticUpsample

Size = tuple[int, int]


class PanopticGuide(Guide):
    """What the layers are guided by, for one forward pass; `structure` has the edges, for the discriminator.

    Args:
        labels: (B, L, H, W) float, one-hot label map: all that the generator is shown besides the ids.
        edges: (B, 1, H, W) float, where instances meet.
        ids: (B, H, W) whole numbers.
    """

    def __init__(self, labels: Tensor, edges: Tensor, ids: Tensor) -> None:
        super().__init__(torch.cat([labels, edges], 1))
        self._channels, self._ids = labels.shape[1], ids

    def at(self, size: Size) -> Tensor:
        """Return the label map (B, L, h, w) of another size (h, w), by nearest neighbour."""
        return super().at(size)[:, : self._channels]

    def ids_at(self, size: Size) -> Tensor:
        """Return the ids (B, h, w) at a size (h, w) that divides their own: every so many rows and columns, from the
        first, as nearest neighbour takes them."""
        down, right = self._ids.shape[1] // size[0], self._ids.shape[2] // size[1]
        return self._ids[:, ::down, ::right]


class GuidedConvolution(nn.Module):
    """A convolution of `metai2i_panoptic.convolution`, with the ids of the guide.

    Args:
        before: channels that go in.
        after: channels that come out.
        kernel: pixels a side, odd.
        bias: whether it has one.
        aware: which convolution.
        spectral: whether its weight is divided by its largest singular value.
    """

    def __init__(
        self, before: int, after: int, kernel: int = 3, bias: bool = True, *, aware: Aware, spectral: bool = True
    ) -> None:
        super().__init__()
        conv = CONVOLUTIONS[aware](before, after, kernel, bias=bias)
        initialise(conv)
        self.conv: nn.Module = spectral_norm(conv) if spectral else conv

    def forward(self, features: Tensor, guide: PanopticGuide) -> Tensor:
        """Return features (B, after, h, w) of (B, before, h, w)."""
        convolved: Tensor = self.conv(features, guide.ids_at((features.shape[-2], features.shape[-1])))
        return convolved


class GuidedUpsample(nn.Module):
    """An upsampling of `metai2i_panoptic.upsampling`, with the ids and the label map of the guide.

    Args:
        features: C, channels.
        channels: L, of the label map.
        aware: panoptic, or nearest neighbour.
        hole_fill: as `PanopticUpsample` has it.
        neighbours: as `PanopticUpsample` has them.
    """

    def __init__(
        self, features: int, channels: int, *, aware: bool, hole_fill: HoleFill, neighbours: Neighbours
    ) -> None:
        super().__init__()
        self.upsample = PanopticUpsample(features, channels, hole_fill, neighbours) if aware else NearestUpsample()
        self.apply(initialise)

    def forward(self, features: Tensor, guide: PanopticGuide) -> Tensor:
        """Return features (B, C, 2h, 2w) of (B, C, h, w)."""
        height, width = features.shape[-2:]
        fine = (2 * height, 2 * width)
        doubled: Tensor = self.upsample(features, guide.ids_at((height, width)), guide.ids_at(fine), guide.at(fine))
        return doubled


class FirstConvolution(nn.Module):
    """What the generator begins with: a convolution of the label map, made as small as the grid.

    Args:
        channels: L, of the label map.
        features: that come out.
        grid: (h, w).
        aware: which convolution.
    """

    def __init__(self, channels: int, features: int, grid: Size, *, aware: Aware) -> None:
        super().__init__()
        self.grid = grid
        self.conv = GuidedConvolution(channels, features, aware=aware, spectral=False)

    def forward(self, guide: PanopticGuide, code: Tensor | None) -> Tensor:
        """Return features (B, features, h, w); there is no code."""
        features: Tensor = self.conv(guide.at(self.grid), guide)
        return features
