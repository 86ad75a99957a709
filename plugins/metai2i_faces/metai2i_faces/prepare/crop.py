"""Cutting a square about a face out of a frame, with the points in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from metai2i_faces.prepare.cut import Warp

ABOVE = 0.8
"""The share of the square's spare height that lies above the points, for the forehead has none."""
OUTSIDE = 0.1
"""By how much points may lie outside the frame (a chin, say), in parts of the longer side of their bounding box."""

MIRRORED = np.array(
    (
        *range(16, -1, -1),
        *range(26, 16, -1),
        *range(27, 31),
        *range(35, 30, -1),
        *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
        *range(54, 47, -1),
        *range(59, 54, -1),
        *range(64, 59, -1),
        *(67, 66, 65),
    )
)
"""The number that each of the 68 points has in a mirrored image."""


@dataclass(frozen=True)
class Square:
    """A square in a frame, in pixels from its upper left corner."""

    left: float
    top: float
    side: float


def square_about(points: np.ndarray, size: tuple[int, int], margin: float) -> Square | None:
    """Return the square about the bounding box of a face's points, slid into the frame where it would leave it.

    Args:
        points: (68, 2), in pixels from the frame's corner.
        size: (height, width) of the frame.
        margin: the square's side, in parts of the longer side of the box.

    Returns:
        None when the square is larger than the frame, or the frame's edge cuts the face.
    """
    low, high = points.min(0), points.max(0)
    side = margin * float((high - low).max())
    height, width = size
    outside = max(-float(low.min()), float(high[0]) - width, float(high[1]) - height)
    if side > min(height, width) or outside > OUTSIDE * float((high - low).max()):
        return None
    left = float(low[0] + high[0] - side) / 2
    top = float(low[1]) - ABOVE * (side - float(high[1] - low[1]))
    return Square(min(max(left, 0.0), width - side), min(max(top, 0.0), height - side), side)


def scaled(square: Square, factor: float, size: tuple[int, int]) -> Square:
    """Return the square with its side multiplied, about its middle, as far as the frame of `size` (height, width)
    allows.
    """
    height, width = size
    side = min(square.side * factor, height, width)
    grown = (side - square.side) / 2
    left = min(max(square.left - grown, 0.0), width - side)
    return Square(left, min(max(square.top - grown, 0.0), height - side), side)


def cut_out(frame: np.ndarray, square: Square, warp: Warp, size: int) -> np.ndarray:
    """Return the square of a frame at (size, size, 3) uint8, turned about its middle and mirrored as `warp` says.

    Pixels that a turned square has outside the frame repeat its edge.
    """
    image = Image.fromarray(frame)
    box = (square.left, square.top, square.left + square.side, square.top + square.side)
    if warp.degrees:
        image, box = _turned(frame, square, warp.degrees)
    cut = image.resize((size, size), Image.Resampling.BICUBIC, box=box)
    if warp.flip:
        cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(cut)


def place(points: np.ndarray, square: Square, warp: Warp, size: int) -> np.ndarray:
    """Return where the points (68, 2) of the frame lie in the image that `cut_out` makes; mirrored ones change
    numbers.
    """
    angle = math.radians(warp.degrees)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])  # for rows; y is down
    middle = np.array([square.left, square.top]) + square.side / 2
    placed: np.ndarray = ((points - middle) @ turn) * (size / square.side) + size / 2
    if warp.flip:
        placed = placed[MIRRORED] * [-1, 1] + [size, 0]
    return placed


def _turned(frame: np.ndarray, square: Square, degrees: float) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """Return the square turned counter-clockwise, at the frame's own resolution, and the box of it there."""
    pad = math.ceil((math.sqrt(2) - 1) / 2 * square.side) + 2
    padded = Image.fromarray(np.pad(frame, ((pad, pad), (pad, pad), (0, 0)), mode="edge"))
    angle, half = math.radians(degrees), square.side / 2
    centre = square.left + half + pad, square.top + half + pad
    pixels = math.ceil(square.side)
    cos, sin = math.cos(angle), math.sin(angle)
    # From a place in the result to one in the frame: the inverse of `place`, without the scale.
    across = (cos, -sin, centre[0] - half * cos + half * sin)
    down = (sin, cos, centre[1] - half * sin - half * cos)
    turned = padded.transform((pixels, pixels), Image.Transform.AFFINE, (*across, *down), Image.Resampling.BICUBIC)
    return turned, (0.0, 0.0, square.side, square.side)
