"""Where a head is and what it does.

The head's own coordinates are heads' half heights: x to the right of the image, y down, z to the viewer, with the
origin in the middle of the head. Turning moves what is in front (nose, mouth) further than what is behind (hair, ears).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metai2i_scenes.canvas import Point
from metai2i_scenes.look import Draw

CLASSES = ("background", "face", "eyebrows", "eyes", "nose", "lips", "inner mouth")
PALETTE = (
    (38, 42, 54),
    (236, 196, 160),
    (120, 78, 40),
    (80, 160, 250),
    (245, 150, 70),
    (220, 30, 90),
    (110, 0, 70),
)
BACKGROUND, FACE, BROWS, EYES, NOSE, LIPS, MOUTH = range(7)


@dataclass(frozen=True)
class Pose:
    """What a face does in one frame.

    Args:
        yaw: turned to the right of the image, radians.
        pitch: turned down, radians.
        roll: tilted clockwise, radians.
        x: of the middle of the head, as a share of the image's shorter side, from the middle.
        y: the same, down.
        open: how far the mouth is open, 0 to 1.
        smile: how far its corners are up, -0.5 to 1.
        lift: how far the brows are up, -0.5 to 1.
        lids: how far the eyes are open, 0.1 to 1.15.
        gaze: where the eyes look, right and down, -1 to 1.
    """

    yaw: float
    pitch: float
    roll: float
    x: float
    y: float
    open: float
    smile: float
    lift: float
    lids: float
    gaze: tuple[float, float]


def pose(rng: np.random.Generator) -> Pose:
    """Draw a pose; the eyes mostly look at the camera, so that the map tells where they look."""
    draw = Draw(rng)
    yaw, pitch = draw.real(-0.52, 0.52), draw.real(-0.22, 0.24)
    return Pose(
        yaw=yaw,
        pitch=pitch,
        roll=draw.real(-0.16, 0.16) + 0.12 * yaw,
        x=draw.real(-0.05, 0.05) + 0.04 * yaw,
        y=draw.real(-0.03, 0.03),
        open=draw.choice((0.0, draw.real(0.0, 0.3), draw.real(0.3, 1.0))),
        smile=draw.real(-0.4, 1.0),
        lift=draw.real(-0.4, 1.0),
        lids=0.12 if draw.chance(0.06) else draw.real(0.7, 1.15),
        gaze=(-yaw * 0.9 + draw.real(-0.15, 0.15), -pitch * 0.9 + draw.real(-0.1, 0.1)),
    )


@dataclass(frozen=True)
class Head:
    """Where the head is: from its own coordinates to samples of the canvas.

    Args:
        x: the middle of the head, samples from the left.
        y: the same, from the top.
        size: half its height in samples.
        pose: what it does.
    """

    x: float
    y: float
    size: float
    pose: Pose

    def see(self, x: float, y: float, z: float) -> Point:
        """Return where a point of the head shows."""
        cy, sy = math.cos(self.pose.yaw), math.sin(self.pose.yaw)
        cp, sp = math.cos(self.pose.pitch), math.sin(self.pose.pitch)
        x, z = x * cy + z * sy, z * cy - x * sy
        y = y * cp + z * sp
        cr, sr = math.cos(self.pose.roll), math.sin(self.pose.roll)
        return (self.x + (x * cr - y * sr) * self.size, self.y + (x * sr + y * cr) * self.size)

    def flat(self, x: float, y: float, z: float = 0.0) -> Point:
        """Place a point like `see` for outlines: a head is about as deep as wide, so its outline does not narrow when
        it turns.
        """
        shift = z * math.sin(self.pose.yaw)
        drop = z * math.sin(self.pose.pitch)
        cr, sr = math.cos(self.pose.roll), math.sin(self.pose.roll)
        x, y = x + shift, y * math.cos(self.pose.pitch) + drop
        return (self.x + (x * cr - y * sr) * self.size, self.y + (x * sr + y * cr) * self.size)

    @staticmethod
    def depth(x: float, y: float) -> float:
        """Return how far in front the face is at (x, y)."""
        return 0.72 * math.sqrt(max(0.05, 1 - (x / 0.95) ** 2 - (y / 1.35) ** 2))

    def on(self, x: float, y: float, out: float = 0.0) -> Point:
        """Return where a point on the face shows, or one that stands out from it."""
        return self.see(x, y, self.depth(x, y) + out)


def smooth(points: Sequence[Point], steps: int = 6, closed: bool = True) -> list[Point]:
    """Return a Catmull-Rom curve through the points."""
    count = len(points)
    out = []
    for i in range(count if closed else count - 1):
        a, b, c, d = (
            points[j % count] if closed else points[min(max(j, 0), count - 1)] for j in (i - 1, i, i + 1, i + 2)
        )
        for k in range(steps):
            t = k / steps
            t2, t3 = t * t, t * t * t
            wa, wb, wc, wd = -t3 + 2 * t2 - t, 3 * t3 - 5 * t2 + 2, -3 * t3 + 4 * t2 + t, t3 - t2
            out.append(
                (
                    (wa * a[0] + wb * b[0] + wc * c[0] + wd * d[0]) / 2,
                    (wa * a[1] + wb * b[1] + wc * c[1] + wd * d[1]) / 2,
                )
            )
    if not closed:
        out.append(points[-1])
    return out
