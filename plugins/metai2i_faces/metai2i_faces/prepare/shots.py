"""Where a video, or a folder of its frames, changes from one shot to the next."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

CELLS = 16
"""Frames are compared by the colours of so many cells across and down."""
MOVED = 20.0
"""A cell has changed when its colour did by more than so many levels, on average over the channels."""
MOST = 0.5
"""From this share of changed cells on, an image is another one."""
PART, UNLIKE = 0.15, 0.6
"""So is one of which this share has changed, and that has little in common with the other (in a dark hall, say)."""
FLASH = 3
"""Changes within so many frames of each other belong together: a flash, or a damaged frame, and back."""
RESTLESS = 4
"""More changes in a row are a camera that is swung, or images that are no frames of a video."""


def is_another(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two frames that follow each other are of different shots.

    Args:
        a: the cells of one, (CELLS, CELLS, 3) uint8.
        b: the cells of the other.
    """
    before, after = a.astype(np.float64), b.astype(np.float64)
    changed = float((np.abs(before - after).mean(-1) > MOVED).mean())
    if changed < PART:
        return False
    # The squared difference in parts of what it is on average between images that have nothing to do with each other.
    spread = sum(float(((each - each.mean((0, 1))) ** 2).sum()) for each in (before, after))
    return changed >= MOST or float(((before - after) ** 2).sum()) >= UNLIKE * spread


def shots(cells: Sequence[np.ndarray]) -> list[range]:
    """Return the stretches of frames without a cut, in order.

    A cut changes the image at once and for good. A flash of up to two frames is no cut; frames between two cuts that
    are no more than that belong to no shot.

    Args:
        cells: of every frame, as `is_another` takes them.
    """
    edges, start = [], 0
    for group in _together([n for n in range(1, len(cells)) if is_another(cells[n - 1], cells[n])]):
        before, after = group[0], group[-1]
        if len(group) <= RESTLESS and is_another(cells[before - 1], cells[after]):
            edges.append(range(start, before))
            start = after
    return [*edges, range(start, len(cells))]


def is_album(cells: Sequence[np.ndarray]) -> bool:
    """Return whether images are photographs each of its own, rather than frames that follow each other."""
    steps = [is_another(a, b) for a, b in pairwise(cells)]
    return 2 * sum(steps) > len(steps)


def _together(places: Sequence[int]) -> list[list[int]]:
    groups: list[list[int]] = []
    for place in places:
        if groups and place - groups[-1][-1] < FLASH:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups
