"""The jackknife: how far a number would move with other images or scenes, by what is left when some are left out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

_LEVEL = 0.95


def jackknife_interval(value: float, *sides: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % t interval around a number (Efron and Stein, 1981); None where a side is of fewer than two
    blocks, or what remains has no number.

    Args:
        value: of everything.
        sides: for each of the independent samples that the number is made of, such as outputs and real images: the
            number without each of its blocks in turn. Their variances are added.
    """
    if not sides or any(len(side) < 2 for side in sides) or not all(math.isfinite(each) for s in sides for each in s):
        return None
    variance = sum((len(side) - 1) * float(np.var(side)) for side in sides)
    half = float(stats.t.ppf((1 + _LEVEL) / 2, min(map(len, sides)) - 1)) * math.sqrt(variance)
    return value - half, value + half
