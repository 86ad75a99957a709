"""Landmarks of faces as maps: where outline, brows and mouth, the eyes, and the nose are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from metai2i import UserError, reason
from metai2i.data import DAMAGED, Size, covering

LANDMARKS = "landmarks.npz"
"""The file in a folder of images, as `metai2i data faces` writes it."""
PARTS = ("outline-brows-mouth", "eyes", "nose")
"""The channels of a map."""
POINTS = 68
_CHANNELS = np.zeros(POINTS, np.intp)
_CHANNELS[36:48], _CHANNELS[27:36] = 1, 2
_SPOT = 1 / 48
"""The standard deviation of a point's spot, in parts of the image's shorter side."""


def read_landmarks(folder: Path) -> Mapping[str, np.ndarray]:
    """Return the landmarks of the images in a folder: (68, 2) of x and y, in pixels from the corner, by their stems.

    Raises:
        UserError: when the file is not there or does not have what it should.
    """
    path = folder / LANDMARKS
    if not path.is_file():
        what = f"these images have no landmarks; expected {LANDMARKS} beside them"
        raise UserError(what, where=folder, hint="`metai2i data faces` writes such folders")
    try:
        with np.load(path, allow_pickle=False) as kept:
            names, points = [str(name) for name in kept["names"]], np.asarray(kept["pts_crop"], np.float64)
    except OSError as error:
        raise UserError(f"the landmarks cannot be read: {reason(error)}", where=path) from None
    except KeyError as error:
        raise UserError(f"the landmarks lack {error.args[0]}; expected names and pts_crop", where=path) from None
    except DAMAGED as error:
        raise UserError(f"these are no landmarks: {error}", where=path) from None
    if points.shape != (len(names), POINTS, 2) or not np.isfinite(points).all():
        expected = (len(names), POINTS, 2)
        raise UserError(f"pts_crop is {points.shape}, expected {expected} and finite", where=path)
    return dict(zip(names, points, strict=True))


def landmark_map(points: np.ndarray, natural: Size, size: Size) -> np.ndarray:
    """Return spots where the landmarks of an image are, (H, W, 3) uint8: `PARTS` one by one, 255 in the middle of each.

    Args:
        points: (68, 2) of x and y, in pixels of the image as it is stored.
        natural: its height and width.
        size: those wanted; the image covers them, and its middle is cut out.
    """
    whole = covering(natural, size)
    scale = np.array([whole[1] / natural[1], whole[0] / natural[0]])
    corner = np.array([(whole[1] - size[1]) // 2, (whole[0] - size[0]) // 2])
    across, down = ((points * scale - corner).T)[:, :, None]
    spread = 2 * (_SPOT * min(size)) ** 2
    rows = np.exp(-((np.arange(size[0]) + 0.5 - down) ** 2) / spread)
    columns = np.exp(-((np.arange(size[1]) + 0.5 - across) ** 2) / spread)
    spots = rows[:, :, None] * columns[:, None, :]
    parts = [spots[channel == _CHANNELS].max(0) for channel in range(len(PARTS))]
    return (np.stack(parts, -1) * 255).round().astype(np.uint8)
