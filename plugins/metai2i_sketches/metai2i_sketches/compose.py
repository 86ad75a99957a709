"""Putting images of objects into a scene, on white, with the sketch of its background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from metai2i import UserError

Box = tuple[int, int, int, int]
"""Left, top, width and height, in pixels of the scene."""


@dataclass(frozen=True)
class Placed:
    """An image of an object and where it goes.

    Args:
        image: (H, W, 3) uint8, on white.
        box: in the scene.
        name: for messages.
        white: the level from which on a pixel is white, in all three channels.
    """

    image: np.ndarray
    box: Box
    name: str = "object"
    white: int = 255


def composite(background: np.ndarray, objects: Sequence[Placed], where: Path | None = None) -> np.ndarray:
    """Return a scene with objects on its background, as SketchyCOCO puts them: each resized to the shorter side of its
    box and in the middle of it, without its white pixels; later ones over earlier ones.

    Args:
        background: (H, W, 3) uint8, a sketch on white, or white alone.
        objects: with their boxes.
        where: the file that the boxes are from, for messages.

    Returns:
        (H, W, 3) uint8.

    Raises:
        UserError: naming the object, for a box that is empty or not within the scene.
    """
    scene = background.copy()
    for placed in objects:
        check_box(placed.box, (scene.shape[1], scene.shape[0]), placed.name, where)
        left, top, width, height = placed.box
        side = min(width, height)
        image = np.asarray(Image.fromarray(placed.image).resize((side, side), Image.Resampling.LANCZOS))
        x, y = left + (width - side) // 2, top + (height - side) // 2
        part = scene[y : y + side, x : x + side]
        part[:] = np.where((image >= placed.white).all(-1, keepdims=True), part, image)
    return scene


def check_box(box: Box, size: tuple[int, int], name: str, where: Path | None = None) -> None:
    """Refuse a box that is empty or not within a scene.

    Args:
        size: (width, height) of the scene.
        name: of its object.
        where: the file that it is from.

    Raises:
        UserError: with box and size.
    """
    left, top, width, height = box
    inside = left >= 0 and top >= 0 and left + width <= size[0] and top + height <= size[1]
    if width < 1 or height < 1:
        raise UserError(f"the box {list(box)} of {name!r} is empty, expected [left, top, width, height]", where=where)
    if not inside:
        what = f"the box {list(box)} of {name!r} is not within the scene, which is {size[0]}x{size[1]}"
        raise UserError(what, where=where, hint="boxes are [left, top, width, height] in pixels of the scene")
