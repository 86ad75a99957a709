"""`Index`: the packed maps of many tasks, and the tasks whose maps are most like some others.

Most candidates are never compared pixel by pixel. The maps are looked at a block after the other, so that files are
streamed and memory is bounded, in three steps, each more exact and more costly than the one before:

1. the areas of the classes bound every task's score from above (each overlap is at most the smaller area);
2. for the tasks whose bound reaches the k-th best score so far, pixel counts in small cells bound it tighter;
3. those with the highest bounds are counted exactly.

What is left of all blocks is then counted in the order of the bounds, until none reaches the k-th best score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from metai2i_iou.measure import Measure, Scores
from metai2i_iou.packed import Maps, Packed, Query, Rows

CHUNK = 64
"""Tasks that are counted exactly at a time, at most."""

BLOCK = 4096
"""Maps that are bounded at a time (a task with more is a block of its own)."""


@dataclass(frozen=True)
class Part:
    """Tasks whose maps lie together.

    Args:
        packed: the maps of all its tasks.
        counts: (tasks,) how many maps each task has, at least 1.
    """

    packed: Maps
    counts: Rows

    def first(self, tasks: int) -> Part:
        """Return only its first so many tasks."""
        counts = self.counts[:tasks]
        return Part(self.packed.between(0, int(counts.sum())), counts)


@dataclass(frozen=True)
class Block:
    """Tasks from `begin` up to `end`, their maps, and the first row of these within their part."""

    begin: int
    end: int
    maps: Maps
    row: int


class Index:
    """The parts of an index one after the other; tasks are known by their place in it."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = [part.packed for part in parts]
        self.counts = np.concatenate([part.counts for part in parts]).astype(np.intp)
        self.classes = max(packed.classes for packed in self.parts)
        sizes = [len(part.counts) for part in parts]
        self._begins = np.cumsum([0, *sizes])
        """The first task of each part, and the number of all."""
        self._starts = np.concatenate([np.cumsum(part.counts) - part.counts for part in parts]).astype(np.intp)
        """The row of each task's first map within its part."""
        self.counted = 0
        """How many tasks the latest search has compared pixel by pixel."""

    def __len__(self) -> int:
        return len(self.counts)

    def best(self, queries: Sequence[Query], k: int, measure: Measure, classes: int) -> list[tuple[int, float]]:
        """Return the `k` tasks of the highest score (the mean over the queries), best first; ties in the order of the
        index.

        Args:
            queries: the maps that are looked for.
            k: from 1 to the number of tasks.
            measure: what the score is.
            classes: how many classes there are.
        """
        best_so_far = Found(k)
        self.counted = 0
        slack = 2e-7 * classes * classes  # for the rounding of bounds, which are sums of float32
        left: list[tuple[Rows, Scores]] = []
        for block in self._blocks():
            tasks = np.arange(block.begin, block.end)
            for cells in (False, True) if best_so_far.least > -np.inf else (True,):
                bounds = self._bounds(block, tasks, queries, measure, classes, cells=cells)
                # A bound equal to the k-th score may be a tie that comes earlier in the index: only below it is it out.
                stays = bounds >= best_so_far.least - slack
                tasks, bounds = tasks[stays], bounds[stays]
            order = np.argsort(-bounds, kind="stable")
            self._count(queries, tasks[order[:k]], best_so_far, measure, classes)
            left.append((tasks[order[k:]], bounds[order[k:]]))
        tasks, bounds = (np.concatenate(each) for each in zip(*left, strict=True))
        order = np.argsort(-bounds, kind="stable")
        start, count = 0, min(k, CHUNK)
        while start < len(order) and bounds[order[start]] >= best_so_far.least - slack:
            self._count(queries, tasks[order[start : start + count]], best_so_far, measure, classes)
            start, count = start + count, min(2 * count, CHUNK)
        return best_so_far.best()

    def _count(self, queries: Sequence[Query], some: Rows, best_so_far: Found, measure: Measure, classes: int) -> None:
        self.counted += len(some)
        for start in range(0, len(some), CHUNK):
            these = some[start : start + CHUNK]
            best_so_far.add(these, self.scores(queries, these, measure, classes))

    def _bounds(
        self, block: Block, some: Rows, queries: Sequence[Query], measure: Measure, classes: int, *, cells: bool
    ) -> Scores:
        """Return (some,): upper bounds of the scores of some tasks of a block, in the order of the index.

        Args:
            cells: from pixel counts in cells rather than from the areas.
        """
        total = np.zeros(len(some))
        if not len(some):
            return total
        counts = self.counts[some]
        rows, starts = _rows(self._starts[some] - block.row, counts)
        asked = None if len(rows) == len(block.maps) else rows
        theirs = block.maps.areas if asked is None else block.maps.areas[:, asked]
        theirs = theirs.astype(np.float32)
        for query in queries:
            mine = query.areas.astype(np.float32)
            overlaps = query.cell_bounds(block.maps, classes, asked) if cells else query.area_bounds(theirs, classes)
            frames = measure.similarity(overlaps, mine, theirs).astype(np.float64)
            total += measure.pooled(frames, starts, counts)
        return total / len(queries)

    def _blocks(self) -> Iterator[Block]:
        for packed, (begin, end) in zip(self.parts, pairwise(self._begins.tolist()), strict=True):
            starts = np.append(self._starts[begin:end], len(packed))
            task = 0
            while task < end - begin:
                upto = max(task + 1, int(np.searchsorted(starts, starts[task] + BLOCK, side="right")) - 1)
                row, stop = int(starts[task]), int(starts[upto])
                yield Block(begin + task, begin + upto, packed.between(row, stop), row)
                task = upto

    def scores(self, queries: Sequence[Query], some: Rows, measure: Measure, classes: int) -> Scores:
        """Return (some,): exact scores of some tasks. The order of sums does not depend on which these are: equal maps
        tie.
        """
        maps, starts = self._gathered(some)
        counts = self.counts[some]
        total = np.zeros(len(some))
        for query in queries:
            overlaps = query.overlaps(maps.planes, classes)
            total += measure.pooled(measure.similarity(overlaps, query.areas, maps.areas), starts, counts)
        return total / len(queries)

    def _gathered(self, some: Rows) -> tuple[Packed, Rows]:
        """Return the maps of some tasks read into memory, without their cells, and where each task starts
        among them.
        """
        rows, starts = _rows(self._starts[some], self.counts[some])
        parts = np.repeat(np.searchsorted(self._begins, some, side="right") - 1, self.counts[some])
        bits = max(packed.bits for packed in self.parts)
        planes = np.zeros((len(rows), bits, self.parts[0].words), np.uint64)
        areas = np.zeros((self.classes, len(rows)), np.uint32)
        for part in np.unique(parts):
            packed, here = self.parts[part], np.flatnonzero(parts == part)
            planes[here, : packed.bits] = packed.planes_of(rows[here])
            areas[: packed.classes, here] = packed.areas[:, rows[here]]
        return Packed(planes, np.zeros((self.classes, 0, len(rows)), np.uint8), areas), starts


class Found:
    """The tasks that have been counted, and the k-th best score among them."""

    def __init__(self, k: int) -> None:
        self._k = k
        self._tasks: Rows = np.empty(0, np.intp)
        self._scores: Scores = np.empty(0)

    @property
    def least(self) -> float:
        """Return the k-th best score; -inf before there are k."""
        return float(self._scores.min()) if len(self._scores) >= self._k else -np.inf

    def add(self, tasks: Rows, scores: Scores) -> None:
        """Take in some tasks and keep the best k; of equal ones, those first in the order of the index."""
        tasks, scores = np.append(self._tasks, tasks), np.append(self._scores, scores)
        best = np.lexsort((tasks, -scores))[: self._k]
        self._tasks, self._scores = tasks[best], scores[best]

    def best(self) -> list[tuple[int, float]]:
        """Return task and score, the best first."""
        return list(zip(self._tasks.tolist(), self._scores.tolist(), strict=True))


def _rows(first: Rows, counts: Rows) -> tuple[Rows, Rows]:
    """Return the rows of tasks, one task after the other, and where each begins among them.

    Args:
        first: each task's first row.
        counts: how many rows each has.
    """
    starts = np.cumsum(counts) - counts
    return np.repeat(first - starts, counts) + np.arange(counts.sum()), starts
