"""Whether an image is a drawing: dark lines on white, and some of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metai2i.errors import UserError

_INK = 128
"""Below this level a pixel is dark."""
_PLAIN = 8
"""A drawing whose levels differ by no more than this is empty."""


def check_drawing(levels: np.ndarray, where: str | Path, turned: str = "save it in black on white") -> None:
    """Refuse a drawing (H, W) uint8 that is empty or white on black.

    Args:
        where: it is, for the message.
        turned: what helps where it is white on black.

    Raises:
        UserError: saying which.
    """
    if int(levels.max()) - int(levels.min()) <= _PLAIN:
        raise UserError("the drawing is empty: all of it is of one colour", where=where)
    dark = float((levels < _INK).mean())
    corners = levels[[0, 0, -1, -1], [0, -1, 0, -1]]
    if dark > 0.5 and bool((corners < _INK).all()):
        what = f"the drawing is white on black ({100 * dark:.0f} % of it is dark), expected black on white"
        raise UserError(what, where=where, hint=turned)
