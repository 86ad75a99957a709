"""Opening pictures, with errors that name the file, and bringing them to size.

A picture is resized to the smallest size of its own aspect that covers the wanted one, and the middle is cut out:
photographs with Lanczos (which averages when it shrinks), label maps by the nearest pixel. A picture that has the
wanted size already stays as it is, bit by bit.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from metai2i.errors import UserError

Size = tuple[int, int]
"""(height, width) in pixels."""


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


def covering(natural: Size, size: Size) -> Size:
    """The smallest size with the aspect of `natural` that covers `size`."""
    scale = max(size[0] / natural[0], size[1] / natural[1])
    return max(size[0], round(natural[0] * scale)), max(size[1], round(natural[1] * scale))


def fit_photo(image: Image.Image, size: Size, natural: Size | None = None) -> np.ndarray:
    """A photograph at `size`: (H, W, 3) uint8.

    Args:
        image: the photograph.
        size: the wanted size.
        natural: a size with the true aspect, for a photograph that is stored squeezed; its own when None.
    """
    height, width = covering(natural or (image.height, image.width), size)
    image = image.convert("RGB")
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    return np.ascontiguousarray(np.asarray(image)[top : top + size[0], left : left + size[1]])


def fit_labels(labels: np.ndarray, size: Size) -> np.ndarray:
    """A label map (H', W') or (H', W', 3) at `size`, each pixel taken from the one that lies under its middle."""
    natural = labels.shape[0], labels.shape[1]
    whole = covering(natural, size)
    picked = []
    for have, full, want in zip(natural, whole, size, strict=True):
        middles = np.arange(want) + (full - want) // 2 + 0.5
        picked.append((middles * have / full).astype(np.intp).clip(0, have - 1))
    fitted: np.ndarray = labels[picked[0][:, None], picked[1][None, :]]
    return fitted
