"""What painters of a street are handed: the classes, the camera and the canvas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metai2i_scenes.canvas import Canvas, Point
from metai2i_scenes.look import StreetLook

CLASSES = (
    "road",
    "marking",
    "sidewalk",
    "building",
    "window",
    "pole",
    "vegetation",
    "sky",
    "person",
    "car",
)
PALETTE = (
    (128, 64, 128),
    (235, 225, 240),
    (244, 35, 232),
    (90, 84, 80),
    (190, 165, 150),
    (250, 170, 30),
    (107, 142, 35),
    (70, 130, 180),
    (220, 20, 60),
    (0, 0, 160),
)
ROAD, MARKING, SIDEWALK, BUILDING, WINDOW, POLE, VEGETATION, SKY, PERSON, CAR = range(10)

NEAR = 1.2
"""Metres ahead of the camera from where things are painted."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks along the street; image coordinates are samples of the canvas.

    Args:
        focal: the focal length in samples.
        u: where the street vanishes, from the left.
        v: the horizon, from the top.
        x: metres right of the middle of the street.
        y: metres above the road.
        z: metres along the street.
    """

    focal: float
    u: float
    v: float
    x: float
    y: float
    z: float

    def see(self, x: float, y: float, depth: float) -> Point:
        """Return where the point at (x, y), `depth` metres ahead of the camera, shows."""
        k = self.focal / depth
        return (self.u + (x - self.x) * k, self.v + (self.y - y) * k)


@dataclass(frozen=True)
class View:
    """One frame of a street while it is painted.

    Args:
        canvas: what is painted on.
        cam: where it is seen from.
        look: what the street looks like.
        crowns: shapes of foliage: ellipses (x, y, radius) within the unit disc.
    """

    canvas: Canvas
    cam: Camera
    look: StreetLook
    crowns: Sequence[Sequence[tuple[float, float, float]]]

    def see(self, x: float, y: float, depth: float) -> Point:
        """Return where the point at (x, y), `depth` metres ahead of the camera, shows."""
        return self.cam.see(x, y, depth)
