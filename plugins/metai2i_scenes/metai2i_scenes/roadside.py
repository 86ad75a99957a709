"""What stands along a street: buildings, trees and poles.

Everything is given by where it stands (x to the right of the middle of the street, z metres ahead of the camera), in
this order, so the painters take positional arguments.
"""

from __future__ import annotations

import math

import numpy as np

from metai2i_scenes.canvas import SCALE
from metai2i_scenes.colour import RGB, mix, scale
from metai2i_scenes.view import BUILDING, NEAR, POLE, VEGETATION, WINDOW, View


def building(view: View, side: int, z0: float, z1: float, lot: list[float]) -> None:
    """Draw a building on its lot: front, near side, roof, windows and ground floor."""
    look, light = view.look, view.look.light
    sign = 2 * side - 1
    low, high = look.storeys
    storeys = low + min(int(lot[1] * (high - low + 1)), high - low)
    start = z0 + (lot[2] * 2.5 if look.pitched else 0.0)
    x = sign * (view.look.edge + (lot[3] * 1.5 if look.pitched else lot[3] * 0.5))
    ground = 3.6 if look.shop_floor else 0.5
    top = ground + storeys * 3.0 + 0.4
    near = max(start, NEAR)
    if z1 <= near + 0.1:
        return
    middle = min((near + z1) / 2, near + 8)
    tall = (storeys - low) / max(high - low, 1)
    wall = mix(look.facades[side], scale(look.facades[side], 0.8), tall)
    across, along = (-float(sign), 0.0, 0.0), (0.0, 0.0, -1.0)

    def face(colour: RGB, normal: tuple[float, float, float], distance: float = middle) -> int:
        return view.canvas.ink(BUILDING, light.through_air(light.on(colour, normal), distance))

    def band(y0: float, y1: float, ink: int, out: float = 0.0) -> None:
        xo = x - sign * out
        view.canvas.polygon(
            [view.see(xo, y0, near), view.see(xo, y1, near), view.see(xo, y1, z1), view.see(xo, y0, z1)], ink
        )

    if start > NEAR:
        wing = x + sign * 11
        side_ink = face(wall, along, start)
        view.canvas.polygon(
            [view.see(x, 0, start), view.see(x, top, start), view.see(wing, top, start), view.see(wing, 0, start)],
            side_ink,
        )
        if look.pitched:
            view.canvas.polygon(
                [view.see(x, top, start), view.see(x + sign * 5.5, top + 3.4, start), view.see(wing, top, start)],
                side_ink,
            )
    if look.pitched:
        eave, ridge = x - sign * 0.4, x + sign * 5.5
        view.canvas.polygon(
            [
                view.see(eave, top - 0.2, near),
                view.see(ridge, top + 3.4, near),
                view.see(ridge, top + 3.4, z1),
                view.see(eave, top - 0.2, z1),
            ],
            face(look.roof, (-0.5 * sign, 0.86, 0.0)),
        )
    band(0, top, face(wall, across))
    if look.shop_floor:
        band(0, ground - 0.3, face(look.shops[side], across))
    else:
        band(0, 0.5, face(scale(wall, 0.7), across))
    if not look.pitched:
        band(top - 0.5, top, face(look.roof, across))
    windows(view, side, x, start, z1, ground, storeys, lot)
    if look.shop_floor:
        xo = x - sign * 1.0
        view.canvas.polygon(
            [
                view.see(x, ground, near),
                view.see(x, ground, z1),
                view.see(xo, ground - 0.8, z1),
                view.see(xo, ground - 0.8, near),
            ],
            face(look.awnings[side], (-0.5 * sign, 0.8, 0.0)),
        )


def windows(
    view: View,
    side: int,
    x: float,
    z0: float,
    z1: float,
    ground: float,
    storeys: int,
    lot: list[float],
) -> None:
    """Draw the windows of a front, where they are wide enough to be seen."""
    look, light = view.look, view.look.light
    sign = 2 * side - 1
    across = (-float(sign), 0.0, 0.0)
    count = max(2, int((z1 - z0) / (2.9 + lot[4])))
    pitch = (z1 - z0 - 0.6) / count
    reach = abs(x - view.cam.x) * view.cam.focal
    for j in range(count):
        left = z0 + 0.3 + (j + 0.24) * pitch
        right = left + 0.52 * pitch
        if left < NEAR or reach * (1 / left - 1 / right) < SCALE * 0.9:
            continue
        middle = (left + right) / 2
        trim = view.canvas.ink(BUILDING, light.through_air(light.on(look.trim, across), middle))
        dark = view.canvas.ink(WINDOW, light.through_air(mix(light.on(look.glass), light.sky_low, 0.22), middle))
        lit = view.canvas.ink(WINDOW, light.through_air(look.lit, middle * 0.5), 0, 0, 0.55)
        rows = [(ground + k * 3.0 + 0.75, ground + k * 3.0 + 2.35) for k in range(storeys)]
        if look.shop_floor:
            rows.append((0.6, 2.6))
        for k, (y0, y1) in enumerate(rows):
            on = light.lamps and (0.618 * (j * 3 + k * 5) + lot[5]) % 1 < look.lit_share
            ink = lit if on else dark
            a, b = view.see(x, y0, left), view.see(x, y1, right)
            c, d = view.see(x, y0, right), view.see(x, y1, left)
            if abs(b[0] - a[0]) > 5 * SCALE:
                m = 0.14 * pitch
                view.canvas.polygon(
                    [
                        view.see(x, y0 - 0.25, left - m),
                        view.see(x, y1 + 0.2, left - m),
                        view.see(x, y1 + 0.2, right + m),
                        view.see(x, y0 - 0.25, right + m),
                    ],
                    trim,
                )
            view.canvas.polygon([a, d, b, c], ink)


def garden(view: View, side: int, z: float, lot: list[float]) -> None:
    """Draw bushes on an empty lot."""
    sign = 2 * side - 1
    for i, x in enumerate((7.5, 4.5, 1.8)):
        crown(view, sign * (view.look.edge + x), z + i - 1, 0.5, 2.2 + 2 * lot[i + 1], lot[i + 2])


def tree(view: View, x: float, z: float, tree: list[float]) -> None:
    """Draw a trunk and its crown."""
    if z < 2.5:
        return
    look = view.look
    height = look.tree_height * (0.8 + 0.4 * tree[2])
    trunk = view.canvas.ink(VEGETATION, look.light.through_air(look.light.on(look.trunk), z), 0, 0, 0, 0.3)
    u0, v0 = view.see(x, 0, z)
    u1, v1 = view.see(x, height * 0.5, z)
    w = max(0.16 * view.cam.focal / z, SCALE * 0.5)
    view.canvas.polygon([(u0 - w, v0), (u1 - w * 0.7, v1), (u1 + w * 0.7, v1), (u0 + w, v0)], trunk)
    crown(view, x, z, height * 0.3, height, tree[3])


def crown(view: View, x: float, z: float, low: float, high: float, which: float) -> None:
    """Draw foliage between two heights: clumps in three tones, the light ones towards the sun."""
    look, light = view.look, view.look.light
    inks = [view.canvas.ink(VEGETATION, light.through_air(light.on(tone), z), 0, 0, 0, 1) for tone in look.leaves]
    u, v = view.see(x, (low + high) / 2, z)
    ry = (high - low) / 2 * view.cam.focal / z
    rx = ry * {"round": 0.95, "tall": 0.5, "cone": 0.62}[look.tree]
    if look.tree == "cone":
        for tier in range(4):
            y0, y1 = v + ry * (1 - 0.5 * tier), v + ry * (0.15 - 0.5 * tier)
            w = rx * (1 - 0.2 * tier)
            tip = (u, max(y1, v - ry))
            view.canvas.polygon([(u - w, y0), tip, (u + w, y0)], inks[0])
            lean = 0.35 * w * light.sun[0]
            view.canvas.polygon(
                [(u - w * 0.55 + lean, y0 - 0.12 * ry), tip, (u + w * 0.55 + lean, y0 - 0.12 * ry)], inks[1]
            )
            view.canvas.polygon(
                [(u - w * 0.2 + lean * 2, y0 - 0.2 * ry), tip, (u + w * 0.2 + lean * 2, y0 - 0.2 * ry)], inks[2]
            )
        return
    blobs = view.crowns[int(which * len(view.crowns)) % len(view.crowns)]
    small = ry < 5 * SCALE
    for tone, shrink in ((0, 1.0), (1, 0.72), (2, 0.42)):
        lean_x, lean_y = 0.22 * tone * light.sun[0], -0.16 * tone
        for bx, by, br in blobs[:4] if small else blobs:
            view.canvas.ellipse(
                u + (bx + lean_x) * rx, v + (by + lean_y) * ry, br * rx * shrink, br * ry * shrink, inks[tone]
            )


def pole(view: View, sign: int, x: float, z: float) -> None:
    """Draw a lamp post; its arm reaches over the road."""
    look, light = view.look, view.look.light
    ink = view.canvas.ink(POLE, light.through_air(light.on(look.poles), z))
    w = max(0.09 * view.cam.focal / z, SCALE * 0.55)
    height, arm = 5.6, 1.5
    u0, v0 = view.see(x, 0, z)
    u1, v1 = view.see(x, height, z)
    u2, _ = view.see(x - sign * arm, height, z)
    view.canvas.polygon([(u0 - w, v0), (u1 - w, v1), (u1 + w, v1), (u0 + w, v0)], ink)
    view.canvas.polygon([(u1, v1 - w), (u2, v1 - w), (u2, v1 + w), (u1, v1 + w)], ink)
    lamp = view.canvas.ink(POLE, look.lamp, 0, 0, 1.0) if light.lamps else ink
    k = view.cam.focal / z
    view.canvas.ellipse(u2, v1 + 0.1 * k, max(0.42 * k, SCALE * 0.9), max(0.2 * k, SCALE * 0.7), lamp)


def draw_crowns(rng: np.random.Generator) -> list[list[tuple[float, float, float]]]:
    """Draw eight crowns, each of ellipses (x, y, radius) within the unit disc; the first four alone fill it roughly."""
    crowns = []
    for _ in range(8):
        crown = [(0.0, 0.1, 0.72), (-0.42, 0.25, 0.5), (0.42, 0.25, 0.5), (0.0, -0.42, 0.52)]
        for i in range(7):
            angle = (i + float(rng.random())) * 2 * math.pi / 7
            r = float(rng.uniform(0.5, 0.66))
            crown.append((r * math.cos(angle), r * math.sin(angle), float(rng.uniform(0.26, 0.36))))
        crowns.append(crown)
    return crowns
