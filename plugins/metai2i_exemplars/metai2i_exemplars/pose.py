"""Poses as OpenPose finds them: reading its points, and drawing them and the limbs between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import atan2, cos, degrees, dist, radians, sin
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from metai2i import Location, UserError
from metai2i.data import listed_lines

POINTS = (
    "nose", "neck", "r_shoulder", "r_elbow", "r_wrist", "l_shoulder", "l_elbow", "l_wrist", "r_hip", "r_knee",
    "r_ankle", "l_hip", "l_knee", "l_ankle", "r_eye", "l_eye", "r_ear", "l_ear",
)  # fmt: skip
LIMBS = (
    ("neck", "r_shoulder"), ("neck", "l_shoulder"), ("r_shoulder", "r_elbow"), ("r_elbow", "r_wrist"),
    ("l_shoulder", "l_elbow"), ("l_elbow", "l_wrist"), ("neck", "r_hip"), ("r_hip", "r_knee"), ("r_knee", "r_ankle"),
    ("neck", "l_hip"), ("l_hip", "l_knee"), ("l_knee", "l_ankle"), ("neck", "nose"), ("nose", "r_eye"),
    ("r_eye", "r_ear"), ("nose", "l_eye"), ("l_eye", "l_ear"),
)  # fmt: skip
COLOURS: tuple[tuple[int, int, int], ...] = (
    (0, 0, 255), (0, 85, 255), (0, 170, 255), (0, 255, 255), (0, 255, 170), (0, 255, 85), (0, 255, 0), (85, 255, 0),
    (170, 255, 0), (255, 255, 0), (255, 170, 0), (255, 85, 0), (255, 0, 0), (255, 0, 85), (255, 0, 170), (255, 0, 255),
    (170, 0, 255), (85, 0, 255),
)  # fmt: skip
"""(R, G, B) of the points, and of the limbs but for the last colour."""
RADIUS = 4
"""Of the points, and half the width of limbs, in pixels."""
DISC = (0, 2, 3, 3, 4, 3, 3, 2, 0)
"""Pixels to either side of the middle of a point, row by row."""
NEW = 0.6
"""The share of a limb's colour in what it is drawn over."""
NEAR = 3
"""Pixels to one level of a map of distances."""
CHANNELS = ("pose red", "pose green", "pose blue", *(f"{first} to {second}" for first, second in LIMBS))

Point = tuple[float, float]
"""x and y in pixels."""


@dataclass(frozen=True)
class Pose:
    """Where the points of a person are, `POINTS` in order; None for those that are not seen."""

    points: tuple[Point | None, ...]

    def limb(self, limb: tuple[str, str]) -> tuple[Point, Point] | None:
        """Return the two ends of a limb; None when one is not seen."""
        first, second = (self.points[POINTS.index(end)] for end in limb)
        return None if first is None or second is None else (first, second)


def read_pose(candidates: Path, subset: Path, size: tuple[int, int]) -> Pose:
    """Return the pose of the one person of a photograph.

    Args:
        candidates: a line x, y, score and number for each point that was found.
        subset: one line for each person: which candidate each of the 18 points is, or -1; a score, and how many.
        size: (width, height) of the photograph.

    Raises:
        UserError: naming file and line, for lines of another length, points beyond the photograph, numbers of
            candidates that there are not, and for nobody or several people.
    """
    known: list[Point] = []
    for where, numbers in _rows(candidates, 4, "x, y, score and number of a point"):
        x, y = numbers[:2]
        if not (0 <= x <= size[0] and 0 <= y <= size[1]):
            raise UserError(
                f"the point ({x:g}, {y:g}) lies outside of the photograph, which is {size[0]}x{size[1]} (width x "
                "height)",
                where=where,
                hint="points are in pixels of the photograph: was it resized?",
            )
        known.append((x, y))
    people = _rows(subset, len(POINTS) + 2, "the numbers of 18 points, a score, and how many points")
    if len(people) != 1:
        raise UserError(f"expected one person, got {len(people)}", where=subset, hint="leave the photograph out")
    where, numbers = people[0]
    points: list[Point | None] = []
    for name, number in zip(POINTS, numbers, strict=False):
        if number != int(number) or not -1 <= number < len(known):
            raise UserError(
                f"the {name} is candidate {number:g}, and {candidates.name} has {len(known)}, from 0", where=where
            )
        points.append(None if number == -1 else known[int(number)])
    return Pose(tuple(points))


def drawn(pose: Pose, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return a pose as CoCosNet shows it, drawn and as distances.

    Args:
        size: (width, height).

    Returns:
        (H, W, 3) uint8, discs at the points and limbs over them; and (H, W, 17) uint8, how far each limb is, a third of
        the pixels across and down, 255 where it is not seen.
    """
    width, height = size
    image = Image.new("RGB", size)
    draw = ImageDraw.Draw(image)
    for point, colour in zip(pose.points, COLOURS, strict=True):
        if point is not None:
            x, y = int(point[0]), int(point[1])
            for row, half in enumerate(DISC, -RADIUS):
                draw.line((x - half, y + row, x + half, y + row), fill=colour)
    canvas = np.asarray(image).astype(np.float64)
    outside = np.ones((len(LIMBS), height, width), bool)
    for at, limb in enumerate(LIMBS):
        ends = pose.limb(limb)
        if ends is not None:
            inside = _limb(ends, size)
            canvas[inside] = np.rint(canvas[inside] * (1 - NEW) + NEW * np.array(COLOURS[at]))
            outside[at] = ~inside
    distances = np.minimum(_away(outside) // NEAR, 255).astype(np.uint8)
    return canvas.astype(np.uint8), np.ascontiguousarray(distances.transpose(1, 2, 0))


def _away(outside: np.ndarray) -> np.ndarray:
    """Return how many steps across and down it is to the nearest pixel that is not outside, (C, H, W) whole numbers;
    more than any image has where there is none.

    Args:
        outside: (C, H, W) bool.
    """
    far = 4 * (outside.shape[1] + outside.shape[2] + 255 * NEAR)
    away: np.ndarray = outside.astype(np.int16 if far < 1 << 14 else np.int32) * far
    for axis in (1, 2):
        steps = np.arange(away.shape[axis], dtype=away.dtype).reshape((1, -1, 1) if axis == 1 else (1, 1, -1))
        before = np.minimum.accumulate(away - steps, axis=axis) + steps
        behind = np.flip(np.minimum.accumulate(np.flip(away + steps, axis), axis=axis), axis) - steps
        away = np.minimum(before, behind)
    return away


def _limb(ends: tuple[Point, Point], size: tuple[int, int]) -> np.ndarray:
    """Return where a limb is, (H, W) bool: an ellipse from end to end."""
    (x, y), (u, v) = ends
    middle = int((x + u) / 2), int((y + v) / 2)
    outline = _ellipse(middle, int(dist(*ends) / 2), RADIUS, int(degrees(atan2(y - v, x - u))))
    image = Image.new("1", size)
    ImageDraw.Draw(image).polygon(outline, fill=1, outline=1)
    return np.asarray(image)


def _ellipse(middle: tuple[int, int], along: int, across: int, angle: int) -> list[tuple[int, int]]:
    """Return the outline of an ellipse, a point for each degree, turned by an angle in degrees."""
    turn, corners = radians(angle), []
    for degree in range(360):
        a, b = along * cos(radians(degree)), across * sin(radians(degree))
        corners.append(
            (round(middle[0] + a * cos(turn) - b * sin(turn)), round(middle[1] + a * sin(turn) + b * cos(turn)))
        )
    return corners


def _rows(path: Path, count: int, expected: str) -> list[tuple[Location, Sequence[float]]]:
    """Return the numbers in each line of a file, `count` of them.

    Raises:
        UserError: naming file and line.
    """
    rows: list[tuple[Location, Sequence[float]]] = []
    for where, line in listed_lines(path, "a text of numbers"):
        words = line.replace(",", " ").split()
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            raise UserError(f"expected {expected}, got {line[:60]!r}", where=where) from None
        if len(numbers) != count or not np.isfinite(numbers).all():
            raise UserError(f"expected {count} numbers ({expected}), got {len(numbers)}: {line[:60]!r}", where=where)
        rows.append((where, numbers))
    return rows
