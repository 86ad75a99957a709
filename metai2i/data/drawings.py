"""Whether an image is a drawing: dark lines on white, and some of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from metai2i.data.decoding import Size, fit_photo
from metai2i.data.photographs import read_photograph
from metai2i.errors import UserError

_PAPER = (255, 255, 255)
"""What is seen through the transparent parts of a drawing."""
_INK = 128
"""Below this level a pixel is dark."""
_PLAIN = 8
"""A drawing whose levels differ by no more than this is empty."""


def read_drawn(path: Path, size: Size) -> np.ndarray:
    """Return the drawing in an image file at a size, (H, W) uint8: in grey, with white for what is transparent.

    Raises:
        UserError: naming the file, when it cannot be read, or is empty or white on black.
    """
    return fitted_drawing(read_photograph(path, on=_PAPER).convert("L"), size, path).copy()


def fitted_drawing(
    image: Image.Image, size: Size, where: str | Path, turned: str = "save it in black on white"
) -> np.ndarray:
    """Return a drawing in grey at a size, (H, W) uint8; what does not fit is cut off around the middle.

    Args:
        image: in mode L.
        size: (height, width).
        where: it is, for the message.
        turned: what helps where it is white on black.

    Raises:
        UserError: when it is empty or white on black, or nothing of it is left in the middle.
    """
    check_drawing(np.asarray(image), where, turned)
    fitted: np.ndarray = fit_photo(image, size)[..., 0]
    if _is_plain(fitted):
        across, high = image.size
        what = f"nothing of the drawing is left at {size[0]}x{size[1]}, which takes the middle of its {high}x{across}"
        raise UserError(what, where=where, hint="cut the page to the drawing")
    return fitted


def check_drawing(levels: np.ndarray, where: str | Path, turned: str = "save it in black on white") -> None:
    """Refuse a drawing (H, W) uint8 that is empty or white on black.

    Args:
        where: it is, for the message.
        turned: what helps where it is white on black.

    Raises:
        UserError: saying which.
    """
    if _is_plain(levels):
        raise UserError("the drawing is empty: all of it is of one colour", where=where)
    dark = float((levels < _INK).mean())
    border = np.concatenate([levels[0], levels[-1], levels[:, 0], levels[:, -1]])
    if dark > 0.5 and float((border < _INK).mean()) > 0.5:
        what = f"the drawing is white on black ({100 * dark:.0f} % of it is dark), expected black on white"
        raise UserError(what, where=where, hint=turned)


def _is_plain(levels: np.ndarray) -> bool:
    return int(levels.max()) - int(levels.min()) <= _PLAIN
