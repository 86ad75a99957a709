"""Hair: what is behind the head, and what falls in front of it; see `metai2i_scenes.head` for the coordinates."""

from __future__ import annotations

import math
from collections.abc import Sequence

from metai2i_scenes.canvas import Canvas, Point
from metai2i_scenes.colour import scale
from metai2i_scenes.head import BACKGROUND, Head, smooth
from metai2i_scenes.person import FaceLook


def hair_behind(canvas: Canvas, head: Head, look: FaceLook, curls: Sequence[Sequence[float]]) -> None:
    """Draw what is behind face and neck; `curls` holds numbers in 0..1 that place the curls."""
    style, v = look.hair_style, look.volume
    dark = canvas.ink(BACKGROUND, scale(look.hair, 0.72), 0, 1)
    w = look.width + v
    if style in ("bob", "long"):
        drop = 0.85 if style == "bob" else 1.75
        flare = 0.08 if style == "bob" else 0.12
        left = [(-w, -0.5), (-w - 0.04, 0.1), (-w - flare, drop * 0.7), (-w + 0.06, drop)]
        points = [(0.0, -1.0 - v), *((-x, y) for x, y in left), *reversed(left)]
        canvas.polygon(smooth([head.flat(x, y, -0.25) for x, y in points], 5), dark)
    elif style == "curly":
        for a, b, c in curls:
            angle = math.pi * (1.0 + 1.5 * (a - 0.5)) + math.pi / 2
            r = 0.75 + 0.35 * b
            u, y = head.flat(r * (w + 0.12) * math.cos(angle), -0.15 + r * math.sin(angle) * 1.0, -0.2)
            canvas.ellipse(u, y, (0.2 + 0.12 * c) * head.size, (0.2 + 0.12 * c) * head.size, dark)
    elif style == "bun":
        u, y = head.flat(0.0, -1.0 - v - 0.2, -0.35)
        canvas.ellipse(u, y, 0.34 * head.size, 0.3 * head.size, canvas.ink(BACKGROUND, scale(look.hair, 0.9), 0, 1))
    if style != "bald":
        canvas.polygon(
            smooth(
                [
                    head.flat(x, y, -0.25)
                    for x, y in (
                        (0, -1.0 - v),
                        (0.75 * w, -0.75),
                        (w, -0.2),
                        (0.8 * w, 0.35),
                        (0, 0.5),
                        (-0.8 * w, 0.35),
                        (-w, -0.2),
                        (-0.75 * w, -0.75),
                    )
                ],
                5,
            ),
            dark,
        )


def hair_in_front(canvas: Canvas, head: Head, look: FaceLook, curls: Sequence[Sequence[float]]) -> None:
    """Draw what falls in front of the forehead and the temples."""
    if look.hair_style == "bald":
        return
    if look.hair_style == "beanie":
        beanie(canvas, head, look)
        return
    fringe(canvas, head, look)
    if look.hair_style == "curly":
        curls_in_front(canvas, head, look, curls)
    elif look.hair_style == "short":
        sideburns(canvas, head, look)


def beanie(canvas: Canvas, head: Head, look: FaceLook) -> None:
    """Draw a knitted cap in the colour of the hair, with its rim and bobble."""
    w = look.width
    knit = [
        (-w - 0.05, -0.42),
        (-w - 0.06, -0.75),
        (-0.6, -1.2),
        (0, -1.32),
        (0.6, -1.2),
        (w + 0.06, -0.75),
        (w + 0.05, -0.42),
    ]
    rim = canvas.ink(BACKGROUND, scale(look.hair, 0.82), 0, 0.5, 0, 0.5)
    canvas.polygon(
        smooth([head.flat(x, y, -0.05) for x, y in knit], 5, closed=False),
        canvas.ink(BACKGROUND, look.hair, 0, 0.4, 0, 0.6),
    )
    band = [
        head.flat(-w - 0.06, -0.36, 0),
        head.see(-0.4, -0.5, 0.5),
        head.see(0, -0.52, 0.6),
        head.see(0.4, -0.5, 0.5),
        head.flat(w + 0.06, -0.36, 0),
    ]
    over = [
        head.flat(w + 0.06, -0.62, 0),
        head.see(0.4, -0.78, 0.5),
        head.see(0, -0.8, 0.6),
        head.see(-0.4, -0.78, 0.5),
        head.flat(-w - 0.06, -0.62, 0),
    ]
    canvas.polygon([*smooth(band, 5, closed=False), *smooth(over, 5, closed=False)], rim)
    u, y = head.flat(0, -1.36, -0.1)
    canvas.ellipse(u, y, 0.17 * head.size, 0.16 * head.size, rim)


def fringe(canvas: Canvas, head: Head, look: FaceLook) -> None:
    """Draw the hair between its outline over the crown and where it ends on forehead and temples."""
    style, w = look.hair_style, look.width
    grow = {"short": 0.6, "swept": 1.3, "curly": 2.0}.get(style, 1.0) * look.volume
    side = {"short": -0.02, "bun": 0.0, "swept": 0.05, "curly": -0.05, "bob": 0.75, "long": 1.0}[style]
    crown = [
        (-w - grow * 0.5, -0.35),
        (-w * 0.92 - grow, -0.68),
        (-0.5 * w - grow, -0.98 - grow * 0.6),
        (0, -1.02 - grow),
        (0.5 * w + grow, -0.98 - grow * 0.6),
        (w * 0.92 + grow, -0.68),
        (w + grow * 0.5, -0.35),
    ]
    outer = [
        head.flat(-w - grow * 0.5, side, -0.05),
        *(head.flat(x, y, -0.05) for x, y in crown),
        head.flat(w + grow * 0.5, side, -0.05),
    ]
    line = -0.78 + 0.3 * look.fringe  # how low the hair comes in the middle
    part = 0.0 if style == "curly" else look.part
    wide = 0.84 if side > 0.3 else 0.92
    inner: list[Point] = [head.flat(w * wide, side, 0.12)]
    if side > 0.3:
        inner += [head.flat(w * 0.93, side * 0.5, 0.12), head.flat(w * 0.93, 0.0, 0.12)]
    hang = 0.16 if style in ("swept", "bob", "long") else 0.06
    for x in (0.78, 0.5, 0.22, 0.0, -0.22, -0.5, -0.78):
        y = (
            line
            + hang * 1.4 * abs(x - part)
            + 0.22 * max(0.0, abs(x) - 0.45)
            - 0.08 * math.exp(-(((x - part) / 0.14) ** 2))
        )
        if style == "swept":
            y = min(y, look.eye_y - 0.34) - 0.09 * x * math.copysign(1.0, part)
        inner.append(head.on(x * w * 1.05, y, 0.04))
    if side > 0.3:
        inner += [head.flat(-w * 0.93, 0.0, 0.12), head.flat(-w * 0.93, side * 0.5, 0.12)]
    inner.append(head.flat(-w * wide, side, 0.12))
    ink = canvas.ink(BACKGROUND, look.hair, 0, 1)
    canvas.polygon([*smooth(outer, 4, closed=False), *smooth(inner, 4, closed=False)], ink)


def curls_in_front(canvas: Canvas, head: Head, look: FaceLook, curls: Sequence[Sequence[float]]) -> None:
    """Draw curls along the upper half of the head."""
    for a, b, c in curls[:26]:
        angle = math.pi + math.pi * a
        r = 0.85 + 0.2 * b
        u, y = head.flat((look.width + 0.05) * r * math.cos(angle), -0.42 + 0.62 * r * math.sin(angle), 0.0)
        size = (0.13 + 0.08 * c) * head.size
        canvas.ellipse(u, y, size, size, canvas.ink(BACKGROUND, scale(look.hair, 0.85 + 0.3 * b), 0, 1))


def sideburns(canvas: Canvas, head: Head, look: FaceLook) -> None:
    """Draw the short hair before both ears."""
    w, ink = look.width, canvas.ink(BACKGROUND, look.hair, 0, 1)
    for side in (-1, 1):
        points = [
            head.flat(side * (w + 0.01), -0.4, 0),
            head.flat(side * w * 0.86, -0.4, 0.1),
            head.flat(side * w * 0.93, 0.1, 0.02),
            head.flat(side * (w + 0.01), 0.1, 0),
        ]
        canvas.polygon(points, ink)
