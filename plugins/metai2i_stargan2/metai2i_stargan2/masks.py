"""Where a high-pass skip keeps the details of a face: masks of its landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

Masks = tuple[Tensor, Tensor]
"""Where details are kept: at 32 pixels a side, and at 64 and 128; each (B, 1, H, W) in [0, 1]."""


class Part(NamedTuple):
    """How the maps of some landmarks are changed before they are summed.

    Args:
        first: of its landmarks.
        last: the one behind its last.
        down: how many pixels they are moved down, or up where it is below 0.
        power: they are raised to; the higher, the smaller are the spots.
    """

    first: int
    last: int
    down: int = 0
    power: int = 1


OUTLINE, BROWS = Part(8, 25, power=3), Part(33, 51, 7, 2)
NOSE, NOSTRILS = Part(52, 55, -4), Part(55, 60, -8, 4)
UPPER_LIP, LOWER_LIP, MOUTH = Part(77, 82, 8, 4), Part(83, 88, -8, 4), Part(88, 96, 2, 3)
EYES = slice(60, 76)
"""These are seen twice: 8 pixels further down and smaller, and 24 pixels further down as they are."""
LEFT_OUT = (slice(0, 8), slice(25, 34), slice(46, 47), slice(76, 77), slice(82, 83))
"""The ends of the outline, of the brows and of the mouth."""
COARSE_ONLY = (slice(8, 25), slice(33, 51), slice(76, 96))
"""Outline, brows and mouth, which the second mask has not."""
FAINTEST = 0.1
"""Below this a map is 0."""


def fan_masks(maps: Tensor) -> Masks:
    """Return the published masks of the maps of 98 landmarks: (B, 98, 256, 256), as `Fan` gives them.

    The first has outline, brows, eyes, nose and mouth, the second eyes and nose.
    """
    maps = torch.where(maps < FAINTEST, 0.0, maps)
    lowest, highest = maps.amin((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
    maps = (maps - lowest) / (highest - lowest + 1e-6)
    for part in (OUTLINE, BROWS, NOSE, NOSTRILS, UPPER_LIP, LOWER_LIP, MOUTH):
        where = slice(part.first, part.last)
        maps[:, where] = _down(maps[:, where], part.down) ** part.power
    maps[:, EYES] = _down(maps[:, EYES], 8) ** 3 + _down(maps[:, EYES], 24)
    coarse = _without(maps, LEFT_OUT)
    return _united(coarse), _united(_without(coarse, COARSE_ONLY))


def part_masks(landmarks: Tensor) -> Masks:
    """Return the masks of landmarks that the data has: (B, 3, H, W) in [0, 1], of outline, brows and mouth together, of
    the eyes, and of the nose.
    """
    return _united(landmarks), _united(landmarks[:, 1:])


def _down(maps: Tensor, pixels: int) -> Tensor:
    """Return maps moved down; what leaves them below comes back above, as published."""
    return maps.roll(pixels, 2)


def _without(maps: Tensor, landmarks: Sequence[slice]) -> Tensor:
    """Return maps that are 0 for some landmarks."""
    maps = maps.clone()
    for where in landmarks:
        maps[:, where] = 0
    return maps


def _united(maps: Tensor) -> Tensor:
    """Return (B, 1, H, W) in [0, 1] of (B, C, H, W)."""
    return maps.sum(1, keepdim=True).clamp(0, 1)
