"""From tasks to the parts of an index, a bounded number of bytes at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from metai2i import Task
from metai2i_iou.index import Part
from metai2i_iou.packed import Packed, join

PART_BYTES = 128 * 2**20
"""A part is closed when it has reached this size."""

Pack = Callable[[Task], Packed]
"""Packs the maps of a task."""


def parts_of(tasks: Sequence[Task], pack: Pack, head: Part | None = None) -> Iterator[Part]:
    """Yield the tasks packed, in their order, in parts of about `PART_BYTES`; none is empty.

    Args:
        tasks: the candidates.
        pack: packs one of them.
        head: tasks that are packed already and come first.
    """
    waiting: list[Packed] = [] if head is None else [head.packed.loaded()]
    counts: list[int] = [] if head is None else head.counts.tolist()
    size = sum(waiting_part.nbytes for waiting_part in waiting)
    for task in tasks:
        if waiting and size >= PART_BYTES:
            yield Part(join(waiting), np.array(counts, np.intp))
            waiting, counts, size = [], [], 0
        packed = pack(task)
        waiting.append(packed)
        counts.append(len(packed))
        size += packed.nbytes
    if waiting:
        yield Part(join(waiting), np.array(counts, np.intp))
