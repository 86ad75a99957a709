"""The pairs of a person from their files, with errors that name the file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metai2i import UserError
from metai2i.array_cache import Cache
from metai2i.decoding import Size, fit_labels, fit_photo, opened
from metai2i.picture_files import kept
from metai2i_faces.people import Pair
from metai2i_faces.regions import CLASSES

READING = "1"
"""Changes when the same files would give other pictures or maps."""


@dataclass(frozen=True)
class Pictures:
    """The decoded pictures at one size, kept as uint8: on the disk, and in memory up to the cache's limit."""

    size: Size
    cache: Cache

    def photo(self, pair: Pair) -> np.ndarray:
        """(H, W, 3) uint8."""
        how = ("faces", "photo", READING, self.size)
        return self.cache.get(pair.photo, lambda: kept(pair.photo, how, lambda: read_photo(pair.photo, self.size)))

    def labels(self, pair: Pair) -> np.ndarray:
        """(H, W) uint8 region ids."""
        how = ("faces", "labels", READING, self.size)
        return self.cache.get(pair.labels, lambda: kept(pair.labels, how, lambda: read_labels(pair.labels, self.size)))


def check(pair: Pair) -> None:
    """Looks at names and headers: both files are there, are pictures, and have one size.

    Raises:
        UserError: naming the file.
    """
    if not pair.photo.exists():
        raise UserError(f"the label map has no photograph; expected {pair.photo}", where=pair.labels)
    if not pair.labels.exists():
        raise UserError(f"the photograph has no label map; expected {pair.labels}", where=pair.photo)
    with opened(pair.photo) as photo, opened(pair.labels) as labels:
        if photo.size != labels.size:
            (width, height), (w, h) = photo.size, labels.size
            raise UserError(
                f"the label map is {w}x{h}, its photograph {pair.photo} {width}x{height} (width x height)",
                where=pair.labels,
            )
        if len(labels.getbands()) != 1:
            raise UserError(
                f"expected region ids in one channel, got a picture of mode {labels.mode}", where=pair.labels
            )


def read_photo(path: Path, size: Size) -> np.ndarray:
    """A photograph at `size`: (H, W, 3) uint8."""
    with opened(path) as image:
        return fit_photo(image, size)


def read_labels(path: Path, size: Size) -> np.ndarray:
    """A label map at `size`: (H, W) uint8 ids.

    Raises:
        UserError: also for an id that is no region.
    """
    with opened(path) as image:
        ids = np.asarray(image)
    if ids.ndim != 2:
        raise UserError(f"expected region ids in one channel, got an array {ids.shape}", where=path)
    if ids.min() < 0 or ids.max() >= len(CLASSES):
        wrong = ids.max() if ids.max() >= len(CLASSES) else ids.min()
        raise UserError(f"region id {wrong} is out of range, expected 0..{len(CLASSES) - 1}", where=path)
    return fit_labels(ids.astype(np.uint8), size)
