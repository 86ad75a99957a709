"""Where two instances of one class meet: what a label map of classes cannot tell."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

BAND = 3
"""Pixels of the band on each side of a border."""


def shared_borders(structure: Tensor, instances: Tensor) -> Tensor:
    """Return (B, 1, H, W) bool: both pixels of each neighbouring pair that is of one class and of two instances.

    Args:
        structure: (B, C, H, W) one-hot label map.
        instances: (B, H, W) whole numbers; neighbours are left, right, above and below.
    """
    classes = structure.argmax(1)
    marked = torch.zeros_like(instances, dtype=torch.bool)
    for axis in (1, 2):
        ahead, behind = slice(1, None), slice(None, -1)
        here, there = ((slice(None), *((side,) if axis == 1 else (slice(None), side))) for side in (ahead, behind))
        meets = (classes[here] == classes[there]) & (instances[here] != instances[there])
        marked[here] |= meets
        marked[there] |= meets
    return marked[:, None]


def grown(mask: Tensor, by: int) -> Tensor:
    """Return a mask (B, 1, H, W) with all pixels within `by` rows and columns of it."""
    return max_pool2d(mask.float(), 2 * by + 1, 1, by) > 0 if by else mask


def band(structure: Tensor, instances: Tensor, width: int = BAND) -> Tensor:
    """Return (B, 1, H, W) bool: `width` pixels on each side of the borders between instances of one class."""
    return grown(shared_borders(structure, instances), width - 1)
