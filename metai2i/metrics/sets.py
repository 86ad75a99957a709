"""Metrics of a set of images: FID, KID, precision and recall in Inception's features, and sliced Wasserstein."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad

from metai2i.data.images import to_uint8
from metai2i.losses.inception import INCEPTION
from metai2i.losses.networks import network
from metai2i.metric import SetMetric

NEIGHBOURS = 3
"""Which nearest neighbour reaches how far an image's surroundings go, for precision and recall."""
_PATCH, _PATCHES, _SMALLEST, _DIRECTIONS = 7, 32, 16, 128
_QUANTILES = 1024


class _ByInception(SetMetric):
    """Looks at images through the Inception network of 2015-12-05."""

    feature_networks: ClassVar[frozenset[str]] = frozenset({INCEPTION})

    def features(self, images: Tensor) -> Tensor:
        """Return (N, 2048)."""
        with torch.autocast(images.device.type, enabled=False):
            features: Tensor = network(INCEPTION)(images)
        return features


class Fid(_ByInception):
    """Fréchet Inception distance (Heusel et al., 2017) with TensorFlow's network of 2015-12-05; 0 for equal sets.

    It falls as sets grow, so it can be compared at equal numbers of images alone.
    """

    label = "FID ↓"
    higher_is_better = False
    digits = 2

    def score(self, outputs: Tensor, real: Tensor) -> float:
        """Return the distance of two normal distributions."""
        return frechet_distance(outputs, real)


class Kid(_ByInception):
    """Kernel Inception distance (Binkowski et al., 2018): unbiased, so it may fall below 0, also for few images."""

    label = "KID ↓"
    higher_is_better = False
    digits = 4
    by_count = False

    def score(self, outputs: Tensor, real: Tensor) -> float:
        """Return the squared maximum mean discrepancy of a cubic kernel."""
        return kernel_distance(outputs, real)


class SetPrecision(_ByInception):
    """Share of outputs that lie among real images (Kynkäänniemi et al., 2019), k = 3."""

    label = "precision ↑"
    higher_is_better = True
    least = NEIGHBOURS + 1

    def score(self, outputs: Tensor, real: Tensor) -> float:
        """Return a share."""
        return covered(outputs, real, NEIGHBOURS)


class SetRecall(_ByInception):
    """Share of real images that lie among outputs (Kynkäänniemi et al., 2019), k = 3."""

    label = "recall ↑"
    higher_is_better = True
    least = NEIGHBOURS + 1

    def score(self, outputs: Tensor, real: Tensor) -> float:
        """Return a share."""
        return covered(real, outputs, NEIGHBOURS)


class Swd(SetMetric):
    """Sliced Wasserstein distance of patches, times 1000, mean over the levels of a Laplacian pyramid down to 16 pixels
    (after Karras et al., 2018): 32 patches of 7x7 from each level of an image, 128 directions.
    """

    label = "SWD ↓"
    higher_is_better = False
    digits = 2
    smallest = _PATCH

    def features(self, images: Tensor) -> Tensor:
        """Return (N, levels * 32 * 147): patches at places that the size of the images decides."""
        levels = laplacian_pyramid(to_uint8(images).float(), _SMALLEST)
        return torch.cat([patches(level, _PATCHES, _PATCH).flatten(1) for level in levels], 1)

    def score(self, outputs: Tensor, real: Tensor) -> float:
        """Return the mean over levels."""
        one_level = _PATCHES * 3 * _PATCH**2
        levels = zip(torch.split(outputs, one_level, 1), torch.split(real, one_level, 1), strict=True)
        distances = [sliced_distance(*(normalised(side, _PATCHES) for side in level)) for level in levels]
        return 1000 * sum(distances) / len(distances)


SET_METRICS: Mapping[str, type[SetMetric]] = {
    "fid": Fid,
    "kid": Kid,
    "precision": SetPrecision,
    "recall": SetRecall,
    "swd": Swd,
}
"""The core's own by name."""


def frechet_distance(outputs: Tensor, real: Tensor) -> float:
    """Return the Fréchet distance of the normal distributions with the means and covariances (n - 1) of two sets.

    The trace of the square root of the product of covariances is the sum of the singular values of one set times the
    other, both centred: no matrix root is taken, and sets smaller than their dimension are no special case.

    Args:
        outputs: (N, D) with N of 2 or more.
        real: (M, D).
    """
    left, right = _centred(outputs), _centred(real)
    root = torch.linalg.svdvals(_condensed(left) @ _condensed(right).T).sum()
    means = (outputs.double().mean(0) - real.double().mean(0)).square().sum()
    return float((means + left.square().sum() + right.square().sum() - 2 * root).clamp(min=0))


def _centred(points: Tensor) -> Tensor:
    points = points.double()
    return (points - points.mean(0)) / math.sqrt(len(points) - 1)


def _condensed(points: Tensor) -> Tensor:
    """Return no more rows than columns with the same products between columns."""
    if len(points) <= points.shape[1]:
        return points
    triangle: Tensor = torch.linalg.qr(points, mode="r").R
    return triangle


def kernel_distance(outputs: Tensor, real: Tensor) -> float:
    """Return the unbiased squared maximum mean discrepancy of the kernel (x·y / D + 1)^3.

    Args:
        outputs: (N, D) with N of 2 or more.
        real: (M, D).
    """
    left, right = outputs.double(), real.double()
    within = [_mean_of_others(_cubic(side, side)) for side in (left, right)]
    return float(sum(within) - 2 * _cubic(left, right).mean())


def _cubic(left: Tensor, right: Tensor) -> Tensor:
    kernel: Tensor = (left @ right.T / left.shape[1] + 1) ** 3
    return kernel


def _mean_of_others(kernel: Tensor) -> Tensor:
    count = len(kernel)
    return (kernel.sum() - kernel.trace()) / (count * (count - 1))


def covered(points: Tensor, by: Tensor, neighbours: int) -> float:
    """Return the share of points that lie within the reach of a point of another set: as far as that one's k-th
    nearest neighbour in its own set.

    Args:
        points: (N, D).
        by: (M, D) with M above `neighbours`.
        neighbours: k.
    """
    left, right = points.double(), by.double()
    exact = "donot_use_mm_for_euclid_dist"
    reach = torch.cdist(right, right, compute_mode=exact).kthvalue(neighbours + 1, dim=1).values
    within = torch.cdist(left, right, compute_mode=exact) <= reach
    return float(within.any(1).double().mean())


def laplacian_pyramid(images: Tensor, smallest: int) -> list[Tensor]:
    """Return the levels of images (N, C, H, W), finest first: what each blurring takes away, and what remains where
    halving once more would leave less than `smallest` pixels a side.
    """
    levels = []
    while min(images.shape[-2:]) >= 2 * smallest:
        coarse = _blurred(images)[..., ::2, ::2]
        levels.append(images - interpolate(coarse, images.shape[-2:], mode="bilinear", align_corners=False))
        images = coarse
    return [*levels, images]


def _blurred(images: Tensor) -> Tensor:
    kernel = images.new_tensor([1, 4, 6, 4, 1]) / 16
    channels = images.shape[1]
    weight = (kernel[:, None] * kernel).expand(channels, 1, 5, 5)
    return conv2d(pad(images, [2, 2, 2, 2], mode="reflect"), weight, groups=channels)


def patches(images: Tensor, count: int, side: int) -> Tensor:
    """Return (N, count, C * side * side) patches of images (N, C, H, W), at the same places in all of them."""
    height, width = (images.shape[axis] - side + 1 for axis in (2, 3))
    generator = torch.Generator().manual_seed(height * 10_007 + width)
    rows = torch.randint(height, (count,), generator=generator).tolist()
    columns = torch.randint(width, (count,), generator=generator).tolist()
    cut = [images[..., y : y + side, x : x + side].flatten(1) for y, x in zip(rows, columns, strict=True)]
    return torch.stack(cut, 1)


def normalised(features: Tensor, count: int) -> Tensor:
    """Return all patches of a set (N * count, D), each of three channels brought to mean 0 and deviation 1."""
    every = features.reshape(len(features) * count, 3, -1).double()
    deviation = every.std((0, 2), correction=0, keepdim=True).clamp(min=1e-8)
    return ((every - every.mean((0, 2), keepdim=True)) / deviation).flatten(1)


def sliced_distance(left: Tensor, right: Tensor) -> float:
    """Return the mean over fixed directions of the Wasserstein distance between projections of two sets of points.

    Sets of different sizes are compared at 1024 quantiles.

    Args:
        left: (N, D).
        right: (M, D).
    """
    generator = torch.Generator().manual_seed(left.shape[1])
    directions = torch.randn(left.shape[1], _DIRECTIONS, generator=generator, dtype=torch.float64)
    directions = directions / directions.norm(dim=0)
    sides = [(points.double() @ directions).sort(0).values for points in (left, right)]
    if len(left) != len(right):
        at = (torch.arange(_QUANTILES, dtype=torch.float64) + 0.5) / _QUANTILES
        sides = [side[(at * len(side)).long()] for side in sides]
    return float((sides[0] - sides[1]).abs().mean())
