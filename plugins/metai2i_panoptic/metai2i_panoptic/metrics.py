"""Metrics of what happens where two instances of one class meet; queries without such a border are left out."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from metai2i import Batch, Metric
from metai2i.data import to_uint8
from metai2i.losses import SMALLEST, lpips_at_pixels
from metai2i_panoptic.borders import band, grown

STEEP = 0.08
"""An edge is where grey changes by so much of its range from one pixel to the next."""
NEAR = 1
"""Rows and columns within which an edge of one image counts as an edge of the other."""
LUMA = (0.299, 0.587, 0.114)


class InstanceBand(Metric):
    """Mean absolute difference in [-1, 1] in a band of three pixels on each side of borders between instances of one
    class."""

    label = "band L1 ↓"
    higher_is_better = False
    digits = 4
    needs: ClassVar[frozenset[str]] = frozenset({"target", "structure", "instances"})

    def __call__(self, images: Tensor, query: Batch) -> Tensor:
        """Return (B,) float64."""
        inside = band(query["structure"], query["instances"]).double()[:, 0]
        off = (to_uint8(images).double() - to_uint8(query["target"]).double()).abs().mean(1) / 127.5
        return (off * inside).sum((1, 2)) / inside.sum((1, 2))  # 0 / 0 is NaN


class InstanceLpips(Metric):
    """Mean over the same band of LPIPS-AlexNet at its pixels, whose deeper layers see beyond it."""

    label = "band LPIPS ↓"
    higher_is_better = False
    needs: ClassVar[frozenset[str]] = InstanceBand.needs
    smallest = SMALLEST["alex"]
    feature_networks: ClassVar[frozenset[str]] = frozenset({"alex"})

    def __call__(self, images: Tensor, query: Batch) -> Tensor:
        """Return (B,) float64."""
        inside = band(query["structure"], query["instances"]).double()
        fake, real = (to_uint8(side).float() / 127.5 - 1 for side in (images, query["target"]))
        return (lpips_at_pixels(fake, real) * inside).sum((1, 2, 3)) / inside.sum((1, 2, 3))  # 0 / 0 is NaN


class InstanceEdges(Metric):
    """F-score of the edges in that band: whether an image has its edges where the photograph has them.

    Precision is the share of the image's edge pixels that lie within one row and column of an edge of the photograph,
    recall the share of the photograph's that lie so near one of the image; F is their harmonic mean. An image without
    an edge in the band scores 0. Queries whose photograph has none there are left out.
    """

    label = "edge F ↑"
    higher_is_better = True
    needs: ClassVar[frozenset[str]] = InstanceBand.needs

    def __call__(self, images: Tensor, query: Batch) -> Tensor:
        """Return (B,) float64."""
        inside = band(query["structure"], query["instances"])
        drawn, real = (edges(images) for images in (images, query["target"]))
        precision = share(drawn & inside, grown(real, NEAR))
        recall = share(real & inside, grown(drawn, NEAR))
        both = 2 * precision * recall / (precision + recall)
        missed = precision.isnan() | (precision + recall == 0)  # no edge at all, or none in its place
        return torch.where(recall.isnan(), recall, torch.where(missed, 0.0, both))


def edges(images: Tensor) -> Tensor:
    """Return (B, 1, H, W) bool: where grey changes steeply, and most steeply among the neighbours across the edge.

    Grey is taken from the 256 levels of a saved image. Its gradient is Sobel's, with the border repeated; a pixel is
    kept where it exceeds `STEEP` and is not less than its two neighbours along the axis that is nearest to the gradient
    (across, down, or a diagonal).

    Args:
        images: (B, 3, H, W), meant for [-1, 1].
    """
    levels = to_uint8(images).double() / 255
    grey = sum(weight * levels[:, n : n + 1] for n, weight in enumerate(LUMA))
    across = levels.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
    padded = pad(torch.as_tensor(grey), [1, 1, 1, 1], mode="replicate")
    x, y = conv2d(padded, across[None, None]), conv2d(padded, across.T[None, None])
    steep = (x.square() + y.square()).sqrt()
    # Four axes, 45 degrees apart: the pairs of neighbours that an edge may lie between.
    axis = torch.remainder(torch.round(torch.atan2(y, x) / (torch.pi / 4)), 4)
    around = pad(steep, [1, 1, 1, 1])
    height, width = steep.shape[-2:]
    top = torch.zeros_like(steep, dtype=torch.bool)
    for number, (down, right) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        ahead = around[..., 1 + down : 1 + down + height, 1 + right : 1 + right + width]
        behind = around[..., 1 - down : 1 - down + height, 1 - right : 1 - right + width]
        top |= (axis == number) & (steep >= ahead) & (steep >= behind)
    return top & (steep > STEEP)


def share(marked: Tensor, within: Tensor) -> Tensor:
    """Return the share of the marked pixels that lie within a mask, (B,) float64; NaN where none is marked."""
    return (marked & within).sum((1, 2, 3)).double() / marked.sum((1, 2, 3)).double()
