"""`edges`: where one instance ends and another begins, as SPADE and pix2pixHD show it to their networks."""

from __future__ import annotations

import torch
from torch import Tensor


def edges(instances: Tensor) -> Tensor:
    """Return a map (B, 1, H, W) of 0 and 1: 1 at both pixels of each neighbouring pair that differs.

    Args:
        instances: (B, H, W) whole numbers. Neighbours are left, right, above and below.
    """
    across = instances[:, :, 1:] != instances[:, :, :-1]
    down = instances[:, 1:] != instances[:, :-1]
    marked = torch.zeros_like(instances, dtype=torch.bool)
    marked[:, :, 1:] |= across
    marked[:, :, :-1] |= across
    marked[:, 1:] |= down
    marked[:, :-1] |= down
    return marked[:, None].float()
