"""`Measure`: from shared pixels to a score, Eq. 3 with what the paper leaves open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metai2i_iou.packed import Counts, Packed, Query, Rows

Scores = NDArray[np.floating]
Absent = Literal["zero", "one", "mean_present"]
Pool = Literal["mean_max", "mean_mean", "medoid", "first"]


@dataclass(frozen=True)
class Measure:
    """How maps are compared, and how several frames make one score; see the options of `IoU`."""

    absent: Absent = "zero"
    ignore: frozenset[int] = frozenset()
    pool: Pool = "mean_max"

    def similarity(self, overlaps: Counts, mine: Counts, theirs: Counts) -> Scores:
        """Return (N,): Eq. 3 from shared pixels (C, N) and areas (at most C, 1) and (at most C, N); grows with
        `overlaps`.

        Whole numbers give exact sums of float64; float32 is for bounds.
        """
        total: Scores = np.zeros(overlaps.shape[1], overlaps.dtype if overlaps.dtype == np.float32 else np.float64)
        present = np.zeros_like(total)
        counted = [label for label in range(len(overlaps)) if label not in self.ignore]
        for label in counted:
            if self.absent == "zero" and (label >= len(mine) or not mine[label]):
                continue  # nothing is shared, and unions count for nothing
            union = -overlaps[label]
            for areas in (mine, theirs):
                if label < len(areas):
                    union = union + areas[label]
            total += overlaps[label] / np.maximum(union, 1)
            present += union > 0
        if self.absent == "one":
            return total + (len(counted) - present)
        if self.absent == "mean_present":
            return total / np.maximum(present, 1)
        return total

    def pooled(self, frames: Scores, starts: Rows, counts: Rows) -> Scores:
        """Return (tasks,): the scores of each task's frames as one.

        Args:
            frames: (N,) of the frames of all tasks.
            starts: each task's first frame.
            counts: how many frames each task has.
        """
        if self.pool == "mean_mean":
            return np.asarray(np.add.reduceat(frames, starts) / counts)
        return np.asarray(np.maximum.reduceat(frames, starts))

    def medoid(self, queries: list[Query], packed: Packed) -> int:
        """Return the map most similar to all maps of `packed`.

        Args:
            queries: the same maps.
            packed: the maps of one task.
        """
        sums = [
            self.similarity(query.overlaps(packed.planes, packed.classes), query.areas, packed.areas).sum()
            for query in queries
        ]
        return int(np.argmax(sums))
