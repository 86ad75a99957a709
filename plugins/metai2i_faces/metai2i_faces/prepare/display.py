"""How the frames of a video are shown: the display matrix of its header, and pixels that are not square."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from metai2i import UserError

STRAIGHT = 0.02
"""Entries of a matrix that are smaller, in parts of its largest, are taken for zero."""
Matrix = tuple[tuple[int, int], tuple[int, int]]
"""The directions (right, down) in which a step to the right of a stored frame goes when it is shown, and one down."""
AS_STORED: Matrix = ((1, 0), (0, 1))


def orientation_of(frame: Any) -> Matrix:
    """Return the orientation that a decoded frame carries, one of the eight of squares.

    Raises:
        UserError: for a frame that is turned by another angle or sheared.
    """
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            return orientation(np.frombuffer(bytes(data), np.int32, 9).tolist())
    return AS_STORED


def orientation(entries: Sequence[int]) -> Matrix:
    """Return the orientation of a matrix a b u, c d v, x y w as FFmpeg and QuickTime keep it.

    Raises:
        UserError: when it does more than to turn by right angles, to mirror and to scale.
    """
    a, b, _, c, d = entries[:5]
    least = STRAIGHT * max(abs(a), abs(b), abs(c), abs(d))
    if not least:  # nothing of a matrix: players show the frame as it is stored
        return AS_STORED
    signs = [0 if abs(entry) <= least else 1 if entry > 0 else -1 for entry in (a, b, c, d)]
    if [bool(sign) for sign in signs] not in ([True, False, False, True], [False, True, True, False]):
        raise UserError(
            "the header turns this video by an angle that is no multiple of 90 degrees "
            f"(matrix {a / 65536:g} {b / 65536:g} {c / 65536:g} {d / 65536:g})",
            hint="write it upright first, with `ffmpeg -i IN OUT` say",
        )
    return (signs[0], signs[1]), (signs[2], signs[3])


def shown(pixels: np.ndarray, matrix: Matrix) -> np.ndarray:
    """Return a stored frame (H, W, ...) as it is shown: (H, W, ...), or (W, H, ...) where it lies on its side."""
    (a, b), (c, d) = matrix
    if a:
        return np.ascontiguousarray(pixels[::d, ::a])
    return np.ascontiguousarray(pixels.swapaxes(0, 1)[::b, ::c])
