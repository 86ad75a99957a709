"""Landscapes drawn on the spot, as photograph and as sketch: clouds, hills, trees and grass, as in SketchyCOCO."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

RGB = tuple[int, int, int]
Points = list[tuple[float, float]]

SCALE = 3
"""Samples along each side of a pixel."""
SKIES: tuple[tuple[RGB, RGB], ...] = (
    ((90, 150, 225), (205, 228, 248)),
    ((120, 165, 215), (218, 226, 226)),
)
"""Colours at the top and at the horizon: a clear day, and haze. A sketch does not tell them apart."""
MEADOWS: tuple[RGB, ...] = ((104, 160, 70), (128, 166, 80))
LINE = 1
"""Width of the sketch's lines, in pixels."""


@dataclass(frozen=True)
class Landscape:
    """A landscape.

    Args:
        photo: (H, W, 3) uint8.
        sketch: (H, W) uint8, black lines on white.
        horizon: the row at which the meadow begins.
    """

    photo: np.ndarray
    sketch: np.ndarray
    horizon: int


def landscape(rng: np.random.Generator, side: int) -> Landscape:
    """Return a landscape of a square.

    Args:
        rng: draws what is in it.
        side: in pixels.
    """
    return _Painter(rng, side).painted()


class _Painter:
    def __init__(self, rng: np.random.Generator, side: int) -> None:
        self.rng, self.side = rng, side
        self.horizon = float(rng.uniform(0.42, 0.58))
        sky, meadow = SKIES[rng.integers(len(SKIES))], MEADOWS[rng.integers(len(MEADOWS))]
        self.low, self.meadow = sky[1], _varied(rng, meadow, 12)
        self.photo = _gradient(sky[0], sky[1], side * SCALE, self.horizon)
        self.ink = ImageDraw.Draw(self.photo)
        self.sketch = Image.new("L", (side * SCALE, side * SCALE), 255)
        self.pen = ImageDraw.Draw(self.sketch)

    def painted(self) -> Landscape:
        for _ in range(int(self.rng.integers(1, 4))):
            self._cloud(*self.rng.uniform((0.05, 0.06), (0.95, self.horizon - 0.16)))
        for depth in (0.35, 0.0):
            self._hills(depth)
        for place in sorted(self.rng.uniform(0.02, 0.12, int(self.rng.integers(0, 4)))):
            self._tree(float(self.rng.uniform(0.04, 0.96)), self.horizon + float(place))
        for _ in range(9):
            self._tuft(*self.rng.uniform((0.03, self.horizon + 0.08), (0.97, 0.97)))
        photo = self.photo.resize((self.side, self.side), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(0.4))
        grain = self.rng.normal(0, 3, (self.side, self.side, 1))
        levels = np.clip(np.asarray(photo, dtype=np.float64) + grain, 0, 255).round().astype(np.uint8)
        sketch = np.asarray(self.sketch.resize((self.side, self.side), Image.Resampling.BOX))
        return Landscape(levels, np.where(sketch < 170, 0, 255).astype(np.uint8), round(self.horizon * self.side))

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return x * self.side * SCALE, y * self.side * SCALE

    def _shape(self, points: Points, colour: RGB, *, outline: bool = True) -> None:
        """Fill a shape of the photograph, and draw its outline into the sketch, which hides what is behind it."""
        corners = [self._at(x, y) for x, y in points]
        self.ink.polygon(corners, fill=colour)
        self.pen.polygon(corners, fill=255)
        if outline:
            self.pen.line([*corners, corners[0]], fill=0, width=LINE * SCALE)

    def _cloud(self, x: float, y: float) -> None:
        size = float(self.rng.uniform(0.05, 0.09))
        white = _mixed((255, 255, 255), self.low, float(self.rng.uniform(0.0, 0.35)))
        angles = np.linspace(0, 2 * np.pi, 49)
        bumps = 1 + 0.18 * np.abs(np.sin(angles * 2.5 + float(self.rng.uniform(0, 3))))
        across, down = 2.1 * size * bumps * np.cos(angles), 0.8 * size * bumps * np.sin(angles)
        self._shape([(x + float(a), y + float(d)) for a, d in zip(across, down, strict=True)], white)

    def _hills(self, depth: float) -> None:
        phase, height = self.rng.uniform(0, 6), (0.10 if depth else 0.0) * self.rng.uniform(0.5, 1.2)
        xs = np.linspace(-0.01, 1.01, 33)
        ys = self.horizon - height - (0.03 if depth else 0.012) * np.sin(7 * xs + phase)
        edge = [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]
        self._shape([*edge, (1.01, 1.01), (-0.01, 1.01)], _mixed(self.meadow, self.low, depth), outline=False)
        self.pen.line([self._at(x, y) for x, y in edge], fill=0, width=LINE * SCALE)

    def _tree(self, x: float, foot: float) -> None:
        size = float(self.rng.uniform(0.06, 0.11))
        trunk = [
            (x - 0.12 * size, foot),
            (x + 0.12 * size, foot),
            (x + 0.1 * size, foot - size),
            (x - 0.1 * size, foot - size),
        ]
        self._shape(trunk, _varied(self.rng, (105, 78, 55), 14))
        angles = np.linspace(0, 2 * np.pi, 41)
        radii = size * (0.75 + 0.1 * np.sin(6 * angles + float(self.rng.uniform(0, 6))))
        crown = [
            (x + float(r * np.cos(a)), foot - 1.55 * size + 1.1 * float(r * np.sin(a)))
            for r, a in zip(radii, angles, strict=True)
        ]
        self._shape(crown, _varied(self.rng, (62, 112, 58), 18))

    def _tuft(self, x: float, y: float) -> None:
        blade = _mixed(self.meadow, (30, 60, 20), 0.35)
        for lean in (-0.012, 0.0, 0.012):
            ends = [self._at(x, y), self._at(x + lean, y - 0.022)]
            self.ink.line(ends, fill=blade, width=SCALE)
            self.pen.line(ends, fill=0, width=LINE * SCALE)


def _gradient(top: RGB, low: RGB, side: int, horizon: float) -> Image.Image:
    share = np.clip(np.arange(side) / (side * horizon), 0, 1)[:, None, None]
    levels = np.asarray(top) * (1 - share) + np.asarray(low) * share
    return Image.fromarray(np.broadcast_to(levels, (side, side, 3)).round().astype(np.uint8))


def _mixed(first: RGB, second: RGB, share: float) -> RGB:
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _varied(rng: np.random.Generator, colour: RGB, spread: int) -> RGB:
    red, green, blue = (int(np.clip(level + rng.integers(-spread, spread + 1), 0, 255)) for level in colour)
    return red, green, blue
