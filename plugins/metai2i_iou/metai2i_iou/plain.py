"""Eq. 3 as it is printed, in plain loops: what the packed maps must give."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metai2i_iou.measure import Measure
from metai2i_iou.packed import Labels


def similarity(first: Labels, second: Labels, classes: int, measure: Measure) -> float:
    """Return the score of two (H, W) maps."""
    total, present = 0.0, 0
    counted = [label for label in range(classes) if label not in measure.ignore]
    for label in counted:
        mine, theirs = first == label, second == label
        union = int((mine | theirs).sum())
        if union:
            present += 1
            total += int((mine & theirs).sum()) / union
    if measure.absent == "one":
        return total + len(counted) - present
    if measure.absent == "mean_present":
        return total / max(present, 1)
    return total


def score(mine: Sequence[Labels], theirs: Sequence[Labels], classes: int, measure: Measure) -> float:
    """Return the score of a support's maps and a candidate's (already the one frame, for `first`)."""

    def between(first: Labels, second: Labels) -> float:
        return similarity(first, second, classes, measure)

    if measure.pool == "medoid":
        theirs = [max(theirs, key=lambda candidate: sum(between(candidate, other) for other in theirs))]
    pooled = np.mean if measure.pool == "mean_mean" else np.max
    return float(np.mean([pooled([between(candidate, other) for other in theirs]) for candidate in mine]))
