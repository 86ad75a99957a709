"""Maps of ids from files: a number for each pixel that only tells it from others (instances, segments)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from metai2i.data.decoding import kind_of_pixels
from metai2i.data.label_maps import read_exact
from metai2i.data.photographs import WIDE
from metai2i.errors import UserError

_HINT = "ids are grey levels of 8 or 16 bits, or colours of which each is the id R + 256 G + 65536 B"


def read_ids(path: Path) -> np.ndarray:
    """Return the ids of a map's pixels, (H, W) int64: grey levels, or R + 256 G + 65536 B as COCO has them.

    Raises:
        UserError: naming the file, when it cannot be read, is no format that keeps each pixel (such as JPEG), is
            transparent somewhere, or has a palette, which may be meant in two ways.
    """
    return read_exact(path, _ids)


def check_refined(path: Path, ids: np.ndarray, classes: np.ndarray) -> None:
    """Refuse ids of which one spans several classes; 0, where nothing is, may.

    Args:
        path: of the ids, for the message.
        ids: (H, W).
        classes: (H, W) class ids of the label map beside it.

    Raises:
        UserError: with the count of such ids and the first of them.
    """
    kinds = np.unique(np.stack([ids.reshape(-1), classes.reshape(-1).astype(np.int64)]), axis=1)
    of_id, counts = np.unique(kinds[0], return_counts=True)
    spanning = of_id[(counts > 1) & (of_id != 0)]
    if len(spanning):
        several = ", ".join(map(str, kinds[1][kinds[0] == spanning[0]]))
        raise UserError(
            f"the ids do not refine the classes: {len(spanning)} of {len(of_id)} span several, such as id "
            f"{spanning[0]} on the classes {several}",
            where=path,
            hint="ids and label map must be of one photograph; an id lies within one class, 0 is for what has none",
        )


def _ids(image: Image.Image, scale: int) -> np.ndarray:
    if image.mode in ("RGB", "RGBA", "RGBX"):
        red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")).astype(np.int64), 2, 0)
        ids: np.ndarray = red + 256 * green + 65536 * blue
        return ids
    if image.mode not in ("1", "L", "LA", *WIDE):
        raise UserError(f"expected ids in grey or in colours, got {kind_of_pixels(image.mode)}", hint=_HINT)
    numbers = np.asarray(image if image.mode != "LA" else image.getchannel(0)).astype(np.int64)
    return numbers // scale
