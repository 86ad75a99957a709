"""The pairs of a person from their files, with errors that name the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from metai2i import UserError
from metai2i.data import (
    LabelMap,
    Legend,
    MemoryCache,
    Remark,
    Remarks,
    Size,
    cached,
    cached_unless_remarked,
    check_same_size,
    fit_labels,
    fit_photo,
    read_label_map,
    read_photograph,
)
from metai2i_faces.people import Pair
from metai2i_faces.regions import CLASSES, PALETTE

READING = "2"
"""Changes when the same files would give other images or maps."""

LEGEND = Legend(CLASSES, {i: i for i in range(len(CLASSES))}, {colour: i for i, colour in enumerate(PALETTE)})
"""What the ids and colours of region maps mean."""


@dataclass(frozen=True)
class Images:
    """The decoded images at one size, kept as uint8: on the disk, and in memory up to the cache's limit."""

    size: Size
    cache: MemoryCache
    remarks: Remarks = field(default_factory=lambda: Remarks("faces"))

    @property
    def classes(self) -> int:
        """Return how many regions there are."""
        return len(CLASSES)

    @property
    def reading(self) -> str:
        """Return what decides, beside files and size, how images turn out."""
        return READING

    def files(self, pair: Pair) -> tuple[Path, ...]:
        """Return the photograph and the label map."""
        return pair.photo, pair.labels

    def photo(self, pair: Pair) -> np.ndarray:
        """Return (H, W, 3) uint8."""
        how = ("faces", "photo", READING, self.size)
        return self.cache.get(pair.photo, lambda: cached(pair.photo, how, lambda: read_photo(pair.photo, self.size)))

    def labels(self, pair: Pair) -> np.ndarray:
        """Return (H, W) uint8 region ids."""
        how = ("faces", "labels", READING, self.size)

        def read() -> tuple[np.ndarray, tuple[Remark, ...]]:
            labels = read_labels(pair.labels, self.size)
            return labels.classes, labels.remarks

        return self.cache.get(pair.labels, lambda: cached_unless_remarked(pair.labels, how, read, self.remarks))

    def instances(self, pair: Pair) -> None:
        """Return nothing: a region map has no instances."""


def check(pair: Pair) -> None:
    """Look at names and headers: both files are there, are images, and have one size when they are held upright.

    Raises:
        UserError: naming the file.
    """
    if not pair.photo.exists():
        raise UserError(f"the label map has no photograph; expected {pair.photo}", where=pair.labels)
    if not pair.labels.exists():
        raise UserError(f"the photograph has no label map; expected {pair.labels}", where=pair.photo)
    check_same_size(pair.photo, pair.labels)


def read_photo(path: Path, size: Size) -> np.ndarray:
    """Return a photograph at `size`: (H, W, 3) uint8."""
    return fit_photo(read_photograph(path), size)


def read_labels(path: Path, size: Size) -> LabelMap:
    """Return a label map at `size`, with (H, W) uint8 region ids.

    Raises:
        UserError: also for an id or a colour that is no region.
    """
    labels = read_label_map(path, LEGEND)
    return LabelMap(fit_labels(labels.classes, size), labels.remarks)
