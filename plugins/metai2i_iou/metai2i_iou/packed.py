"""Label maps packed for counting overlaps: bit-planes count them exactly, histograms of small cells bound them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer]
Counts = NDArray[np.int64]

CELL = 15
"""Side of a cell in pixels: it has 225 of them, so that its counts fit in a byte."""

_ONES = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)


@dataclass(frozen=True)
class Packed:
    """N label maps of one size.

    Args:
        planes: (N, bits, words) uint64; plane b holds bit b of every pixel's label.
        cells: (C, G, N) uint8; how many pixels of class c cell g has.
        areas: (C, N) int64; how many pixels of class c the map has.
    """

    planes: NDArray[np.uint64]
    cells: NDArray[np.uint8]
    areas: Counts


def pack(maps: Labels) -> Packed:
    """Packs (N, H, W) labels >= 0; C is the greatest label + 1."""
    count, height, width = maps.shape
    classes = int(maps.max()) + 1
    bits = max(1, (classes - 1).bit_length())
    small = maps.astype(np.min_scalar_type(classes - 1))
    planes = np.stack([_words((small >> bit & 1).reshape(count, -1)) for bit in range(bits)], axis=1)
    across = -(-width // CELL)
    cell = (np.arange(height) // CELL)[:, None] * across + np.arange(width) // CELL
    groups = int(cell.max()) + 1
    flat = (maps.astype(np.int64) * groups + cell).reshape(count, -1)
    cells = np.stack([np.bincount(one, minlength=classes * groups).astype(np.uint8) for one in flat], axis=-1)
    cells = cells.reshape(classes, groups, count)
    return Packed(planes, cells, cells.sum(axis=1, dtype=np.int64))


def join(parts: Sequence[Packed]) -> Packed:
    """The maps of all parts (of one size), one after the other."""
    bits = max(part.planes.shape[1] for part in parts)
    classes = max(len(part.cells) for part in parts)
    count = sum(part.areas.shape[1] for part in parts)
    planes = np.zeros((count, bits, parts[0].planes.shape[2]), np.uint64)
    cells = np.zeros((classes, parts[0].cells.shape[1], count), np.uint8)
    start = 0
    for part in parts:
        stop = start + part.areas.shape[1]
        planes[start:stop, : part.planes.shape[1]] = part.planes
        cells[: len(part.cells), :, start:stop] = part.cells
        start = stop
    return Packed(planes, cells, cells.sum(axis=1, dtype=np.int64))


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
        """The query for one (H, W) map."""
        masks = []
        for label in np.unique(labels).tolist():
            words = _words((labels == label).reshape(1, -1))[0]
            used = np.flatnonzero(words)  # most classes lie in a band of the picture: the rest need not be read
            masks.append((label, int(used[0]), words[used[0] : used[-1] + 1]))
        return Query(pack(labels[None]), masks)

    def overlaps(self, planes: NDArray[np.uint64], classes: int) -> Counts:
        """(classes, n): how many pixels of each class the map shares with each of the n maps in `planes`."""
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

    def overlap_bounds(self, index: Packed, classes: int) -> Counts:
        """(classes, N): no fewer than the shared pixels of each class: in every cell the smaller of the two counts."""
        out = np.zeros((classes, index.areas.shape[1]), np.int64)
        for label, _, _ in self.masks:
            if label < len(index.cells):
                mine = self.packed.cells[label, :, 0]
                used = np.flatnonzero(mine)
                out[label] = np.minimum(index.cells[label, used], mine[used, None]).sum(axis=0, dtype=np.int64)
        return out


def _words(bits: NDArray[Any]) -> NDArray[np.uint64]:
    """(N, P) zeros and ones as (N, ceil(P / 64)) words, filled up with zeros."""
    packed = np.packbits(bits.astype(bool), axis=-1)
    return np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8))).view(np.uint64)


def _ones(words: NDArray[np.uint64]) -> Counts:
    """(n,): the ones in each row of words."""
    if hasattr(np, "bitwise_count"):  # NumPy 2
        ones = np.bitwise_count(words)
    else:
        ones = _ONES[np.ascontiguousarray(words).view(np.uint8)]
    return np.asarray(ones.sum(axis=1, dtype=np.int64))
