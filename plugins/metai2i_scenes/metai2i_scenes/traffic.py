"""What moves on a street: cars and people.

Everything is given by where it is (x to the right of the middle of the street, z metres ahead of the camera), in this
order, so the painters take positional arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from metai2i_scenes.canvas import SCALE, Canvas
from metai2i_scenes.colour import RGB, mix, scale
from metai2i_scenes.view import CAR, PERSON, ROAD, SIDEWALK, View

Thing = tuple[float, Callable[[], None]]
"""How far away something is, and what paints it."""


def numbered(canvas: Canvas, things: Iterable[Thing]) -> Iterator[Thing]:
    """Yield the same things, each painted as an instance of its own, in whatever order: numbered from 1."""
    for number, (distance, paint) in enumerate(things, start=1):
        yield distance, partial(_as_thing, canvas, number, paint)


def _as_thing(canvas: Canvas, number: int, paint: Callable[[], None]) -> None:
    canvas.thing = number
    paint()
    canvas.thing = 0


def car(view: View, x: float, z: float, paint: RGB, oncoming: bool, van: bool) -> None:
    """Draw a car or van, seen from behind or from the front, with its shadow on the road."""
    look, light = view.look, view.look.light
    long, half = 4.3, 0.92
    belt, roof = (1.15, 2.0) if van else (0.88, 1.45)
    back, front = (0.05, 3.9) if van else (0.55, 3.3)

    def ink(colour: RGB, normal: tuple[float, float, float] | None = None) -> int:
        return view.canvas.ink(CAR, light.through_air(light.on(colour, normal), z))

    def quad(points: list[tuple[float, float, float]], number: int) -> None:
        view.canvas.polygon([view.see(*point) for point in points], number)

    # The shadow on the road is part of the photograph only by its colour: its class is the road's.
    shadow = view.canvas.ink(ROAD, scale(light.on(look.road, shadow=True), 0.55), 0, 1)
    quad(
        [
            (x - half - 0.12, 0, z - 0.25),
            (x + half + 0.12, 0, z - 0.25),
            (x + half + 0.12, 0, z + long),
            (x - half - 0.12, 0, z + long),
        ],
        shadow,
    )
    black = ink((0.09, 0.09, 0.1))
    glass = ink(mix(look.glass, (0.1, 0.12, 0.15), 0.4))
    near_side = -1.0 if x > view.cam.x else 1.0
    xs = x + near_side * half
    seen = abs(view.cam.x - x) > half
    if seen:
        flank = ink(paint, (near_side, 0.3, 0.0))
        quad([(xs, 0.28, z), (xs, belt, z), (xs, belt, z + long), (xs, 0.28, z + long)], flank)
        for wheel in (0.8, 3.4):
            u, v = view.see(xs, 0.33, z + wheel)
            k = view.cam.focal / (z + wheel)
            view.canvas.ellipse(u, v, max(0.33 * k * abs(view.cam.x - xs) / (z + wheel), SCALE * 0.3), 0.33 * k, black)
    top = ink(mix(paint, (1, 1, 1), 0.12), (0.0, 1.0, 0.0))
    quad([(x - half, belt, z), (x + half, belt, z), (x + half, belt, z + long), (x - half, belt, z + long)], top)
    inset = 0.1 if van else 0.2
    cab = half - inset
    if seen:
        xc = x + near_side * cab
        quad(
            [(xs, belt, z + back - 0.3), (xc, roof, z + back), (xc, roof, z + front - 0.5), (xs, belt, z + front)],
            glass,
        )
    quad(
        [
            (x - half + 0.05, belt, z + max(back - 0.35, 0)),
            (x - cab, roof, z + back),
            (x + cab, roof, z + back),
            (x + half - 0.05, belt, z + max(back - 0.35, 0)),
        ],
        ink(paint, (0.0, 0.5, -0.8)),
    )
    y0, y1 = belt + 0.07, roof - 0.12
    quad(
        [
            (x - half + 0.2, y0, z + max(back - 0.33, 0)),
            (x - cab + 0.12, y1, z + back - 0.03),
            (x + cab - 0.12, y1, z + back - 0.03),
            (x + half - 0.2, y0, z + max(back - 0.33, 0)),
        ],
        glass,
    )
    quad(
        [
            (x - cab, roof, z + back),
            (x + cab, roof, z + back),
            (x + cab, roof, z + front - 0.6),
            (x - cab, roof, z + front - 0.6),
        ],
        top,
    )
    quad([(x - half, 0.05, z), (x - half, 0.35, z), (x - half + 0.28, 0.35, z), (x - half + 0.28, 0.05, z)], black)
    quad([(x + half, 0.05, z), (x + half, 0.35, z), (x + half - 0.28, 0.35, z), (x + half - 0.28, 0.05, z)], black)
    body = ink(paint, (0.0, 0.3, -0.9))
    quad([(x - half, 0.28, z), (x - half, belt, z), (x + half, belt, z), (x + half, 0.28, z)], body)
    quad(
        [(x - half, 0.25, z), (x - half, 0.42, z), (x + half, 0.42, z), (x + half, 0.25, z)],
        ink(mix(paint, (0.1, 0.1, 0.1), 0.7)),
    )
    quad(
        [(x - 0.26, 0.45, z), (x - 0.26, 0.58, z), (x + 0.26, 0.58, z), (x + 0.26, 0.45, z)],
        ink((0.92, 0.92, 0.88)),
    )
    glow = (0.9 if oncoming else 0.5) if light.lamps or light.wet else 0.0
    colour: RGB = (1.0, 0.97, 0.85) if oncoming else (0.93, 0.12, 0.1)
    lamp = view.canvas.ink(CAR, colour if glow else light.through_air(light.on(colour), z), 0, 0, glow)
    for side in (-1, 1):
        a, b = sorted((x + side * half, x + side * (half - 0.32)))
        quad([(a, belt - 0.3, z), (a, belt - 0.1, z), (b, belt - 0.1, z), (b, belt - 0.3, z)], lamp)


def person(view: View, side: int, x: float, z: float, phase: float, height: float) -> None:
    """Draw somebody who walks, with their shadow."""
    look, light = view.look, view.look.light

    def ink(colour: RGB) -> int:
        return view.canvas.ink(PERSON, light.through_air(light.on(colour), z))

    u, v = view.see(x, 0, z)
    k = height * view.cam.focal / z
    view.canvas.ellipse(
        u, v, 0.2 * k, 0.035 * k, view.canvas.ink(SIDEWALK, scale(light.on(look.pavement, shadow=True), 0.7), 0, 1)
    )
    stride = 0.11 * math.sin(phase * 2 * math.pi)
    legs, coat = ink(look.trousers[side]), ink(look.coats[side])
    for swing in (stride, -stride):
        foot = u + swing * k
        view.canvas.polygon(
            [
                (u - 0.075 * k, v - 0.5 * k),
                (u + 0.075 * k, v - 0.5 * k),
                (foot + 0.05 * k, v),
                (foot - 0.05 * k, v),
            ],
            legs,
        )
    for sign in (-1, 1):
        hand = u + (sign * 0.15 - sign * stride * 0.6) * k
        view.canvas.polygon(
            [
                (u + sign * 0.09 * k, v - 0.8 * k),
                (u + sign * 0.14 * k, v - 0.78 * k),
                (hand + 0.03 * k, v - 0.44 * k),
                (hand - 0.03 * k, v - 0.44 * k),
            ],
            coat,
        )
    view.canvas.polygon(
        [
            (u - 0.13 * k, v - 0.8 * k),
            (u - 0.07 * k, v - 0.85 * k),
            (u + 0.07 * k, v - 0.85 * k),
            (u + 0.13 * k, v - 0.8 * k),
            (u + 0.11 * k, v - 0.42 * k),
            (u - 0.11 * k, v - 0.42 * k),
        ],
        coat,
    )
    view.canvas.ellipse(u, v - 0.925 * k, 0.065 * k, 0.078 * k, ink(look.skin))
    view.canvas.polygon(
        [
            (u - 0.068 * k, v - 0.93 * k),
            (u - 0.05 * k, v - 0.995 * k),
            (u + 0.05 * k, v - 0.995 * k),
            (u + 0.068 * k, v - 0.93 * k),
            (u, v - 0.955 * k),
        ],
        ink(look.trunk),
    )
