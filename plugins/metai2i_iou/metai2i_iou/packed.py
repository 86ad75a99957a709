"""Label maps packed for counting overlaps: bit-planes count exactly, areas and histograms of small cells bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer]
Counts = NDArray[np.integer] | NDArray[np.floating]
Rows = NDArray[np.intp]

CELL = 15
"""Side of a cell in pixels: it has 225 of them, so that its counts fit in a byte."""

_ONES = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)


class Maps(Protocol):
    """N packed label maps of one size, in memory (`Packed`) or in files (`OnDisk`)."""

    @property
    def areas(self) -> NDArray[np.uint32]:
        """Return (C, N): how many pixels of class c the map has."""

    @property
    def classes(self) -> int:
        """Return C, the greatest label + 1."""

    @property
    def bits(self) -> int:
        """Return how many planes a map has."""

    @property
    def words(self) -> int:
        """Return how many words a plane has."""

    @property
    def nbytes(self) -> int:
        """Return the size of all arrays."""

    def __len__(self) -> int:
        """Return N."""

    def between(self, start: int, stop: int) -> Maps:
        """Return the maps from `start` up to `stop`; nothing is read or copied."""

    def planes_of(self, rows: Rows) -> NDArray[np.uint64]:
        """Return (rows, bits, words): the planes of some maps."""

    def cells_of(self, label: int, cells: Rows) -> NDArray[np.uint8]:
        """Return (cells, N): how many pixels of a class some cells have; the caller may write into it."""

    def loaded(self) -> Packed:
        """Return the maps in memory."""


@dataclass(frozen=True)
class Packed:
    """N label maps of one size, in memory.

    Args:
        planes: (N, bits, words) uint64; plane b holds bit b of every pixel's label.
        cells: (C, G, N) uint8; how many pixels of class c cell g has.
        areas: (C, N) uint32; how many pixels of class c the map has.
    """

    planes: NDArray[np.uint64]
    cells: NDArray[np.uint8]
    areas: NDArray[np.uint32]

    def __len__(self) -> int:
        return int(self.areas.shape[1])

    @property
    def classes(self) -> int:
        """Return C, the greatest label + 1."""
        return int(self.areas.shape[0])

    @property
    def bits(self) -> int:
        """Return how many planes a map has."""
        return int(self.planes.shape[1])

    @property
    def words(self) -> int:
        """Return how many words a plane has."""
        return int(self.planes.shape[2])

    @property
    def nbytes(self) -> int:
        """Return the size of all three arrays."""
        return self.planes.nbytes + self.cells.nbytes + self.areas.nbytes

    def between(self, start: int, stop: int) -> Packed:
        """Return the maps from `start` up to `stop`; nothing is copied."""
        return Packed(self.planes[start:stop], self.cells[:, :, start:stop], self.areas[:, start:stop])

    def planes_of(self, rows: Rows) -> NDArray[np.uint64]:
        """Return (rows, bits, words): the planes of some maps."""
        return self.planes[rows]

    def cells_of(self, label: int, cells: Rows) -> NDArray[np.uint8]:
        """Return (cells, N): how many pixels of a class some cells have, copied."""
        some: NDArray[np.uint8] = self.cells[label, cells]
        return some

    def loaded(self) -> Packed:
        """Return these maps."""
        return self


def pack(maps: Labels) -> Packed:
    """Pack (N, H, W) labels >= 0; C is the greatest label + 1."""
    count, height, width = maps.shape
    classes = int(maps.max()) + 1
    bits = max(1, (classes - 1).bit_length())
    small = maps.astype(np.min_scalar_type(classes - 1))
    planes = np.stack([_words((small >> bit & 1).reshape(count, -1)) for bit in range(bits)], axis=1)
    across = -(-width // CELL)
    cell = (np.arange(height) // CELL)[:, None] * across + np.arange(width) // CELL
    groups = int(cell.max()) + 1
    flat = (maps.astype(np.int64) * groups + cell).reshape(count, -1)
    cells = np.stack(
        [np.bincount(label_map, minlength=classes * groups).astype(np.uint8) for label_map in flat], axis=-1
    )
    cells = cells.reshape(classes, groups, count)
    return Packed(planes, cells, cells.sum(axis=1, dtype=np.uint32))


def join(parts: Sequence[Packed]) -> Packed:
    """Return the maps of all parts (of one size), one after the other, in memory."""
    bits = max(part.planes.shape[1] for part in parts)
    classes = max(part.classes for part in parts)
    count = sum(len(part) for part in parts)
    planes = np.zeros((count, bits, parts[0].planes.shape[2]), np.uint64)
    cells = np.zeros((classes, parts[0].cells.shape[1], count), np.uint8)
    areas = np.zeros((classes, count), np.uint32)
    start = 0
    for part in parts:
        stop = start + len(part)
        planes[start:stop, : part.planes.shape[1]] = part.planes
        cells[: part.classes, :, start:stop] = part.cells
        areas[: part.classes, start:stop] = part.areas
        start = stop
    return Packed(planes, cells, areas)


@dataclass(frozen=True)
class Query:
    """One label map, ready to be compared with packed ones.

    Args:
        packed: the map itself (N = 1).
        masks: for each class that it has: the class, its first word and the words of its pixels from there on.
    """

    packed: Packed
    masks: Sequence[tuple[int, int, NDArray[np.uint64]]]

    @staticmethod
    def of(labels: Labels) -> Query:
        """Return the query for one (H, W) map."""
        masks = []
        for label in np.unique(labels).tolist():
            words = _words((labels == label).reshape(1, -1))[0]
            used = np.flatnonzero(words)  # most classes lie in a band of the image: the rest need not be read
            masks.append((label, int(used[0]), words[used[0] : used[-1] + 1]))
        return Query(pack(labels[None]), masks)

    @property
    def areas(self) -> Counts:
        """Return (C, 1): how many pixels of each class the map has."""
        return self.packed.areas

    def overlaps(self, planes: NDArray[np.uint64], classes: int) -> Counts:
        """Return (classes, n): how many pixels of each class the map shares with each of the n maps in `planes`."""
        mine = self.packed.planes[0]
        differ = np.zeros((len(planes), planes.shape[2]), np.uint64)
        # Planes that only one side has need no look: within the mask of a class that both know, their bits are 0.
        for bit in range(min(len(mine), planes.shape[1])):
            differ |= planes[:, bit] ^ mine[bit]
        for bit in range(len(mine), planes.shape[1]):
            differ |= planes[:, bit]
        same = ~differ
        out = np.zeros((classes, len(planes)), np.int64)
        for label, start, mask in self.masks:
            if label < 1 << planes.shape[1]:
                out[label] = _ones(same[:, start : start + len(mask)] & mask)
        return out

    def area_bounds(self, areas: Counts, classes: int) -> NDArray[np.float32]:
        """Return (classes, n): no fewer than the shared pixels of each class: the smaller of the two areas."""
        out = np.zeros((classes, areas.shape[1]), np.float32)
        for label, _, _ in self.masks:
            if label < len(areas):
                np.minimum(areas[label], np.float32(self.areas[label, 0]), out=out[label])
        return out

    def cell_bounds(self, maps: Maps, classes: int, rows: Rows | None = None) -> NDArray[np.float32]:
        """Return (classes, n): no fewer than the shared pixels of each class: in every cell the smaller of the two
        counts.

        Args:
            maps: N of them.
            classes: how many rows the answer has.
            rows: those of the maps that are asked about; all when None.
        """
        count = len(maps) if rows is None else len(rows)
        out = np.zeros((classes, count), np.float32)
        for label, _, _ in self.masks:
            if label < maps.classes:
                mine = self.packed.cells[label, :, 0]
                used = np.flatnonzero(mine)
                theirs = maps.cells_of(label, used)
                if rows is not None:
                    theirs = theirs.take(rows, axis=1)
                out[label] = np.minimum(theirs, mine[used, None], out=theirs).sum(axis=0, dtype=np.uint32)
        return out


def _words(bits: NDArray[Any]) -> NDArray[np.uint64]:
    """Pack (N, P) zeros and ones into (N, ceil(P / 64)) words, filled up with zeros."""
    packed = np.packbits(bits.astype(bool), axis=-1)
    padded = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))
    return np.ascontiguousarray(padded).view(np.uint64)


def _ones(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Count the ones in each row of words: (n,)."""
    if hasattr(np, "bitwise_count"):  # NumPy 2
        ones = np.bitwise_count(words)
    else:
        ones = _ONES[np.ascontiguousarray(words).view(np.uint8)]
    return np.asarray(ones.sum(axis=1, dtype=np.int64))
