"""What is behind a face, out of focus."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from metai2i_scenes.colour import RGB, mix, scale
from metai2i_scenes.look import Draw
from metai2i_scenes.noise import Field
from metai2i_scenes.person import Backdrop


@dataclass(frozen=True)
class Room:
    """A backdrop while it is painted, in pixels.

    Args:
        pen: paints.
        draw: draws where things are.
        far: the colour of what is far.
        near: the colour of what is near.
        height: of the image.
        width: of the image.
    """

    pen: ImageDraw.ImageDraw
    draw: Draw
    far: RGB
    near: RGB
    height: int
    width: int

    @property
    def short(self) -> int:
        """Return the shorter side."""
        return min(self.height, self.width)

    def box(self, box: tuple[float, float, float, float], colour: RGB) -> None:
        """Draw a rectangle: left, top, right, bottom."""
        self.pen.rectangle(box, fill=_bytes(colour))

    def disc(self, x: float, y: float, r: float, colour: RGB) -> None:
        """Draw a disc."""
        self.pen.ellipse((x - r, y - r, x + r, y + r), fill=_bytes(colour))


@lru_cache(maxsize=32)
def backdrop(kind: Backdrop, wall: tuple[RGB, RGB], height: int, width: int, *, seed: int) -> Field:
    """Return the backdrop of a scene: (H, W, 3) in 0..1."""
    far, near = wall
    image = Image.new("RGB", (width, height), _bytes(far))
    draw = Draw(np.random.default_rng((seed, 7)))
    _PAINTERS[kind](Room(ImageDraw.Draw(image), draw, far, near, height, width))
    soft = image.filter(ImageFilter.GaussianBlur(min(height, width) / 50))
    return np.asarray(soft, np.float32) / np.float32(255)


def _wall(room: Room) -> None:
    """Draw light falling on a bare wall."""
    x, y = room.width * room.draw.real(0.2, 0.8), room.height * 0.3
    for ring in range(24, 0, -1):
        room.disc(x, y, room.short * 0.045 * ring, mix(room.far, room.near, 0.62 - 0.025 * ring))


def _bokeh(room: Room) -> None:
    """Draw lights far off."""
    for _ in range(22):
        x, y = room.draw.real(0, room.width), room.draw.real(0, room.height)
        colour = mix(room.near, (1.0, 0.95, 0.8), room.draw.real(0, 0.7))
        room.disc(x, y, room.draw.real(0.04, 0.12) * room.short, colour)


def _window(room: Room) -> None:
    """Draw a window to one side."""
    left = room.width * room.draw.real(0.02, 0.55)
    top, bottom, right = room.height * 0.06, room.height * 0.62, left + room.width * 0.42
    room.box((left, top, right, bottom), mix(room.near, (1, 1, 1), 0.75))
    room.box((left + room.width * 0.2, top, left + room.width * 0.23, bottom), scale(room.far, 0.7))
    room.box((left, room.height * 0.32, right, room.height * 0.345), scale(room.far, 0.7))
    room.box((0, room.height * 0.8, room.width, room.height), scale(room.far, 0.75))


def _stripes(room: Room) -> None:
    """Draw wallpaper."""
    step = room.short / 6
    for i in range(1, int(room.width / step) + 2, 2):
        room.box((i * step, 0, (i + 1) * step, room.height), mix(room.far, room.near, 0.45))


def _shelf(room: Room) -> None:
    """Draw books."""
    for row in range(4):
        x, base = 0.0, room.height * (0.3 * row + 0.27)
        while x < room.width:
            wide, tall = room.draw.real(0.03, 0.07) * room.short, room.draw.real(0.14, 0.23) * room.height
            towards: RGB = (1.0, 1.0, 1.0) if room.draw.chance(0.3) else (0.1, 0.08, 0.1)
            spine = mix(mix(room.far, room.near, room.draw.real(0, 1)), towards, room.draw.real(0.1, 0.5))
            room.box((x, base - tall, x + wide, base), spine)
            x += wide
        room.box((0, base, room.width, base + room.height * 0.03), scale(room.far, 0.6))


def _sunset(room: Room) -> None:
    """Draw hills under an evening sky."""
    for row in range(room.height):
        room.box((0, row, room.width, row), mix(room.far, room.near, row / room.height))
    phase = room.draw.real(0, 6)
    xs = [room.width * i / 32 for i in range(33)]
    hills = [(x, room.height * (0.62 + 0.08 * math.sin(x / room.short * 5 + phase))) for x in xs]
    room.pen.polygon([*hills, (room.width, room.height), (0, room.height)], fill=_bytes(scale(room.near, 0.55)))


_PAINTERS: dict[Backdrop, Callable[[Room], None]] = {
    "wall": _wall,
    "bokeh": _bokeh,
    "window": _window,
    "stripes": _stripes,
    "shelf": _shelf,
    "sunset": _sunset,
}


def _bytes(colour: RGB) -> tuple[int, int, int]:
    r, g, b = (int(min(max(c, 0.0), 1.0) * 255 + 0.5) for c in colour)
    return r, g, b
