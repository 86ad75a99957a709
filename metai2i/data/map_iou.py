"""How alike two label maps are: Eq. 3 of the BiL paper."""

from __future__ import annotations

import torch
from torch import Tensor


def summed_iou(first: Tensor, second: Tensor) -> Tensor:
    """Return the intersection over union of each class, summed over the classes that either map has (Eq. 3).

    Args:
        first: (A, C, H, W) one-hot label maps.
        second: (B, C, H, W) one-hot label maps.

    Returns:
        (A, B) float64, at most the number of classes present.
    """
    a, b = (maps.flatten(2).double() for maps in (first, second))
    both = torch.einsum("acp,bcp->abc", a, b)
    either = a.sum(2)[:, None] + b.sum(2)[None] - both
    return (both / either.clamp(min=1e-9)).sum(2)


def mean_iou(first: Tensor, second: Tensor) -> Tensor:
    """Return `summed_iou` divided by the number of classes that either map has: (A, B) float64 in [0, 1]."""
    present_a, present_b = (maps.flatten(2).any(2) for maps in (first, second))
    either = (present_a[:, None] | present_b[None]).sum(2)
    return summed_iou(first, second) / either.clamp(min=1)


def nearest_iou(maps: Tensor, support: Tensor) -> Tensor:
    """Return how like the most similar map of a support each map is, by `mean_iou`: a query with a low value is a hard
    one.

    Args:
        maps: (A, C, H, W) one-hot label maps.
        support: (B, C, H, W) one-hot label maps.

    Returns:
        (A,) float64 in [0, 1].
    """
    return mean_iou(maps, support).amax(1)
