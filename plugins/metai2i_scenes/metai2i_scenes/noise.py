"""Value noise: smooth random fields that wrap around, and how to look them up."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[Any]
"""An array of float32."""


def value_noise(rng: np.random.Generator, size: int, cells: int, octaves: int = 3) -> Field:
    """Return a (size, size) field that wraps around: random values on a grid, smoothly interpolated, octave upon
    octave.

    Its mean is 0 and its standard deviation 1.

    Args:
        rng: draws the grid values.
        size: the width and height of the field.
        cells: grid cells of the first octave; every further octave has twice as many and half the weight.
        octaves: how many are summed.
    """
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        count = cells << octave
        if count > size:
            break
        grid = rng.standard_normal((count, count)).astype(np.float32)
        weights = _interpolation(size, count)
        total += (weights @ grid @ weights.T) * 0.5**octave
    total -= total.mean()
    return total / max(float(total.std()), 1e-6)


@lru_cache(maxsize=64)
def _interpolation(size: int, cells: int) -> Field:
    """Return the (size, cells) matrix that blends neighbouring grid values with a smoothstep, wrapping around."""
    position = (np.arange(size, dtype=np.float32) + 0.5) * cells / size
    left = np.floor(position).astype(int)
    t = position - left
    t = t * t * (3 - 2 * t)
    weights = np.zeros((size, cells), np.float32)
    rows = np.arange(size)
    np.add.at(weights, (rows, left % cells), 1 - t)
    np.add.at(weights, (rows, (left + 1) % cells), t)
    return weights


def look_up(field: Field, y: Field, x: Field) -> Field:
    """Return the values of a wrapping field at real coordinates, in cells of the field; the nearest one."""
    size = field.shape[0]
    values: Field = field[y.astype(np.int32) % size, x.astype(np.int32) % size]
    return values
