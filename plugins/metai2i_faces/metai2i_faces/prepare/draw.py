"""Region maps from the 68 points of a face.

The points are those of the iBUG 300-W scheme: 0-16 the jaw line, 17-26 the eyebrows, 27-35 the nose, 36-47 the eyes,
48-59 the outer and 60-67 the inner edge of the lips. Left and right are the image's. Lengths are in parts of the
distance between the middles of the eyes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw
from scipy.spatial import ConvexHull, QhullError

from metai2i_faces.regions import CLASSES

Polygon = np.ndarray
"""(N, 2) float, x to the right and y down."""

FINER = 4
"""Polygons are filled at so many times the size of the map, which takes one point of each cell."""
FOREHEAD = 2 / 3
"""The forehead has no points: it is the jaw line mirrored at the line through its ends, flattened to this height."""
BROW = (0.035, 0.06, 0.065, 0.06, 0.035)
"""Half the thickness of an eyebrow at its five points, from the temple to the nose."""
BRIDGE = 0.1
"""Half the width of the bridge of the nose."""
WINGS = 0.2
"""By how much the nose is wider on each side than its lowest points, in parts of their distance."""
WING_HEIGHT = 0.4
"""How high the wings are, in parts of the height of the tip (30) over the lowest point (33)."""
OPEN = 0.035
"""A mouth whose lips are no further apart is shut."""


def eye_distance(points: np.ndarray) -> float:
    """Return the distance between the middles of the eyes."""
    return float(np.linalg.norm(points[36:42].mean(0) - points[42:48].mean(0)))


def regions(points: np.ndarray) -> dict[str, list[Polygon]]:
    """Return the polygons of every region, in the order in which they are drawn, so that small ones stay visible.

    Args:
        points: (68, 2) float.

    Returns:
        from region names to polygons; `inner-mouth` is there only when the mouth is open.
    """
    unit = eye_distance(points)
    shapes = {
        "face": [_face(points[:17])],
        "nose": [_nose(points[27:36], unit)],
        "eyebrows": [_brow(points[17:22], unit), _brow(points[26:21:-1], unit)],
        "eyes": [points[36:42], points[42:48]],
        "lips": [points[48:60]],
    }
    if np.linalg.norm(points[62] - points[66]) > OPEN * unit:
        shapes["inner-mouth"] = [points[60:68]]
    return shapes


def area(polygon: Polygon) -> float:
    """Return the area of a polygon, by the shoelace formula; where its edges cross, parts may cancel.

    >>> area(np.array([[0, 0], [4, 0], [4, 3], [0, 3]]))
    12.0
    """
    x, y = polygon[:, 0], polygon[:, 1]
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def draw(polygons: Mapping[str, list[Polygon]], size: int) -> np.ndarray:
    """Return the map of a face: (size, size) uint8 region ids.

    Args:
        polygons: as `regions` gives them, in pixels from the upper left corner of the image, so that the middle of
            its first pixel is (0.5, 0.5).
        size: height and width.
    """
    canvas = Image.new("L", (size * FINER, size * FINER))
    pen = ImageDraw.Draw(canvas)
    for name, each in polygons.items():
        for polygon in each:
            # The fine pixel that is taken lies half a pixel beyond the middle of its cell, and so does the polygon.
            pen.polygon([(float(x), float(y)) for x, y in polygon * FINER + 0.5], fill=CLASSES.index(name))
    middle = FINER // 2
    return np.ascontiguousarray(np.asarray(canvas)[middle::FINER, middle::FINER])


def _face(jaw: np.ndarray) -> Polygon:
    """Return the hull of the jaw line and of its flattened mirror image."""
    start, end = jaw[0], jaw[-1]
    along = (end - start) / max(float(np.linalg.norm(end - start)), 1e-9)
    down = np.array([-along[1], along[0]])
    above = jaw - (1 + FOREHEAD) * ((jaw - start) @ down)[:, None] * down
    outline = np.concatenate([jaw, above])
    try:
        hull: Polygon = outline[ConvexHull(outline).vertices]
    except QhullError:  # all on one line
        return jaw
    return hull


def _brow(points: np.ndarray, unit: float) -> Polygon:
    """Return a tapered band along five points that go from the temple to the nose."""
    directions = np.gradient(points, axis=0)
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-9)
    across = np.stack([-directions[:, 1], directions[:, 0]], 1) * np.array(BROW)[:, None] * unit
    return np.concatenate([points + across, (points - across)[::-1]])


def _nose(points: np.ndarray, unit: float) -> Polygon:
    """Return a strip along the bridge (27-29), and from there out to the wings and along the lowest points (31-35)."""
    bridge, tip, base = points[:3], points[3], points[4:]
    side = (base[-1] - base[0]) / max(float(np.linalg.norm(base[-1] - base[0])), 1e-9)
    strip = BRIDGE * unit * side
    widen = WINGS * (base[-1] - base[0])
    up = WING_HEIGHT * (tip - base[2])
    right = [bridge[0] + strip, bridge[2] + strip, base[-1] + widen + up, base[-1] + widen]
    left = [base[0] - widen, base[0] - widen + up, bridge[2] - strip, bridge[0] - strip]
    return np.array([*right, *base[3:0:-1], *left])
