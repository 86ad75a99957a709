"""Opening pairs, with errors that name the file, and bringing them to size.

A picture is resized to the smallest size of its own aspect that covers the wanted one, and the middle is cut out:
photographs with Lanczos (which averages when it shrinks), label maps by the nearest pixel. A picture that has the
wanted size already stays as it is, bit by bit.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from metai2i import UserError
from metai2i_faces.cache import Cache
from metai2i_faces.people import Pair
from metai2i_faces.regions import CLASSES

Size = tuple[int, int]
"""(height, width) in pixels."""


@dataclass(frozen=True)
class Pictures:
    """The decoded pictures at one size, kept as uint8 up to the cache's limit."""

    size: Size
    cache: Cache

    def photo(self, pair: Pair) -> np.ndarray:
        """(H, W, 3) uint8."""
        return self.cache.get(pair.photo, lambda: read_photo(pair.photo, self.size))

    def labels(self, pair: Pair) -> np.ndarray:
        """(H, W) uint8 region ids."""
        return self.cache.get(pair.labels, lambda: read_labels(pair.labels, self.size))


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The picture at `path`, of which only the header has been read.

    Raises:
        UserError: naming the file, when it is missing, no picture, or found cut short while it is used.
    """
    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError:
        raise UserError("the file is missing", where=path) from None
    except UnidentifiedImageError:
        raise UserError("not a picture that can be read (empty, cut short or of another kind)", where=path) from None
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        IndexError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
    ) as error:
        raise UserError(f"the picture is damaged or cut short: {error}", where=path) from None


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
        (width, height), (left, top) = _covering(image.size, size)
        photo = image.convert("RGB")
    if photo.size != (width, height):
        photo = photo.resize((width, height), Image.Resampling.LANCZOS)
    return np.ascontiguousarray(np.asarray(photo)[top : top + size[0], left : left + size[1]])


def read_labels(path: Path, size: Size) -> np.ndarray:
    """A label map at `size`, each pixel taken from the one that lies under its middle: (H, W) uint8 ids.

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
    (width, height), (left, top) = _covering((ids.shape[1], ids.shape[0]), size)
    rows = ((np.arange(size[0]) + top + 0.5) * ids.shape[0] / height).astype(np.intp)
    columns = ((np.arange(size[1]) + left + 0.5) * ids.shape[1] / width).astype(np.intp)
    fitted: np.ndarray = ids.astype(np.uint8)[rows[:, None], columns[None, :]]
    return fitted


def _covering(natural: tuple[int, int], size: Size) -> tuple[tuple[int, int], tuple[int, int]]:
    """The smallest (width, height) with the aspect of `natural` (width, height) that covers `size` (height, width),
    and the (left, top) of its middle."""
    scale = max(size[0] / natural[1], size[1] / natural[0])
    width, height = max(size[1], round(natural[0] * scale)), max(size[0], round(natural[1] * scale))
    return (width, height), ((width - size[1]) // 2, (height - size[0]) // 2)
