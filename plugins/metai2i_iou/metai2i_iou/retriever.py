"""`IoU`: the training scenes whose label maps overlap most with those of the support."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metai2i import Batch, Match, Retriever, Task, UserError
from metai2i_iou.packed import Counts, Labels, Packed, Query, join, pack

Scores = NDArray[np.float64]

CHUNK = 64
"""Tasks that are counted exactly at a time."""


class IoU(Retriever):
    """Similarity of label maps, Eq. 3 of the paper: the sum over classes of intersection over union.

    Scores are exact and the matches are those of a full comparison, but most candidates are never compared pixel by
    pixel: pixel counts in small cells bound each score from above, and candidates are counted in the order of these
    bounds until no bound reaches the k-th best score.

    Continuous structures take part by the channel that is greatest at each pixel.

    Args:
        absent: what a class adds that neither map has (0/0 in Eq. 3, which the paper leaves open). `zero`: nothing,
            the sum as printed. `one`: 1, as two empty sets are equal. `mean_present`: nothing, and the sum is divided
            by the number of classes that either map has, so that maps of many classes have no advantage.
        ignore: class ids that are left out, a background for instance.
        size: (H, W) to which maps are resized first, by nearest neighbour; full size when left out. Smaller maps take
            less memory and time, and allow for candidates of several sizes.
        frames: how many evenly spaced frames of a candidate are looked at.
        pool: how several frames make one score between scenes (which the paper leaves open); always the mean over the
            support. `mean_max`: of the best of the candidate's frames. `mean_mean`: of the mean of its frames.
            `medoid`: of its one frame that is most like its others. `first`: of its first frame.

    Raises:
        UserError: for a class id below 0, a size below 1 or fewer frames than 1.
    """

    def __init__(
        self,
        *,
        absent: Literal["zero", "one", "mean_present"] = "zero",
        ignore: tuple[int, ...] = (),
        size: tuple[int, int] | None = None,
        frames: int = 16,
        pool: Literal["mean_max", "mean_mean", "medoid", "first"] = "mean_max",
    ) -> None:
        if any(label < 0 for label in ignore):
            raise UserError(f"retriever.ignore must hold class ids from 0 on, got {list(ignore)}")
        if size is not None and min(size) < 1:
            raise UserError(f"retriever.size must be (H, W), each at least 1, got {list(size)}")
        if frames < 1:
            raise UserError(f"retriever.frames must be at least 1, got {frames}")
        self.absent = absent
        self.ignore = frozenset(ignore)
        self.size = size
        self.frames = frames
        self.pool = pool
        self._tasks: tuple[Task, ...] = ()

    def index(self, tasks: Sequence[Task]) -> None:
        """Reads and packs the label maps of the candidates (at most `frames` of each); replaces an earlier index.

        Raises:
            UserError: when maps differ in size (and `size` is not given), or a task has none.
        """
        self._tasks = tuple(tasks)
        if not tasks:
            return
        parts: list[Packed] = []
        for task in tasks:
            maps = self._sized(task.maps(limit=1 if self.pool == "first" else self.frames).numpy())
            if not maps.size or maps.min() < 0:
                raise UserError(f"task {task.id!r} must give label maps of class ids from 0 on")
            if not parts:
                self._shape = maps.shape[1:]
            self._check_shape(maps, f"the maps of task {task.id!r}")
            part = pack(maps)
            parts.append(pack(maps[[self._medoid(maps, part)]]) if self.pool == "medoid" else part)
        self._packed = join(parts)
        counts = np.array([part.areas.shape[1] for part in parts])
        self._starts = np.cumsum(counts) - counts
        self._counts = counts

    def query(self, support: Batch, k: int) -> Sequence[Match]:
        """The `k` candidates of the highest score, best first; ties in the order of the index.

        Args:
            support: its `structure` (B, C, H, W) is compared.
            k: how many; all candidates when there are fewer.

        Raises:
            UserError: when size or classes do not fit the candidates'.
        """
        k = min(k, len(self._tasks))
        if k < 1:
            return []
        structure = support["structure"]
        classes = structure.shape[1]
        maps = self._sized(structure.argmax(dim=1).cpu().numpy())
        self._check_shape(maps, "the support's maps")
        if classes < len(self._packed.areas):
            raise UserError(f"candidates have class {len(self._packed.areas) - 1}, but the support {classes} channels")
        if max(self.ignore, default=0) >= classes:
            raise UserError(f"retriever.ignore names class {max(self.ignore)}, but there are {classes} classes")
        queries = [Query.of(labels) for labels in maps]

        bounds = self._bounds(queries, classes)
        scores = np.full(len(self._tasks), -np.inf)
        order = np.argsort(-bounds, kind="stable")
        for start in range(0, len(order), CHUNK):
            # A bound equal to the k-th score (-inf before k are counted) may be a tie that comes earlier in the index:
            # only below it is it out. The slack covers the rounding of sums.
            if bounds[order[start]] < np.partition(scores, -k)[-k] - 1e-9:
                break
            some = order[start : start + CHUNK]
            scores[some] = self._scores(queries, some, classes)
        return [Match(self._tasks[i], float(scores[i])) for i in np.argsort(-scores, kind="stable")[:k]]

    def _bounds(self, queries: Sequence[Query], classes: int) -> Scores:
        """An upper bound of every task's score."""
        index = self._packed
        total = np.zeros(len(self._tasks))
        for query in queries:
            frames = self._similarity(query.overlap_bounds(index, classes), query.packed.areas, index.areas)
            total += self._pooled(frames, self._starts, self._counts)
        return total / len(queries)

    def _scores(self, queries: Sequence[Query], some: NDArray[np.intp], classes: int) -> Scores:
        """The exact scores of some tasks. The order of sums does not depend on which these are: equal maps tie."""
        counts = self._counts[some]
        starts = np.cumsum(counts) - counts
        rows = np.repeat(self._starts[some] - starts, counts) + np.arange(counts.sum())
        planes, areas = self._packed.planes[rows], self._packed.areas[:, rows]
        total = np.zeros(len(some))
        for query in queries:
            frames = self._similarity(query.overlaps(planes, classes), query.packed.areas, areas)
            total += self._pooled(frames, starts, counts)
        return total / len(queries)

    def _similarity(self, overlaps: Counts, mine: Counts, theirs: Counts) -> Scores:
        """(N,): Eq. 3 from shared pixels (C, N) and areas (at most C, 1) and (at most C, N); grows with `overlaps`."""
        total = np.zeros(overlaps.shape[1])
        present = np.zeros(overlaps.shape[1], np.int64)
        counted = [label for label in range(len(overlaps)) if label not in self.ignore]
        for label in counted:
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

    def _pooled(self, frames: Scores, starts: NDArray[np.intp], counts: NDArray[np.intp]) -> Scores:
        """(tasks,): the scores of each task's frames as one."""
        if self.pool == "mean_mean":
            return np.add.reduceat(frames, starts) / counts
        return np.maximum.reduceat(frames, starts)

    def _medoid(self, maps: Labels, packed: Packed) -> int:
        """The frame most similar to all frames of its task."""
        classes = len(packed.areas)
        queries = (Query.of(labels) for labels in maps)
        sums = [
            self._similarity(query.overlaps(packed.planes, classes), query.packed.areas, packed.areas).sum()
            for query in queries
        ]
        return int(np.argmax(sums))

    def _sized(self, maps: Labels) -> Labels:
        """(N, H, W) maps at `size`: the pixel under the centre of each new one."""
        if self.size is None:
            return maps
        rows, columns = (
            ((np.arange(new) + 0.5) * old / new).astype(np.intp)
            for new, old in zip(self.size, maps.shape[1:], strict=True)
        )
        return maps[:, rows[:, None], columns]

    def _check_shape(self, maps: Labels, whose: str) -> None:
        if maps.shape[1:] != self._shape:
            (height, width), (first_height, first_width) = maps.shape[1:], self._shape
            raise UserError(
                f"{whose} are {height}x{width}, but the first candidate's {first_height}x{first_width}",
                hint="give retriever.size to have all resized to one size",
            )
