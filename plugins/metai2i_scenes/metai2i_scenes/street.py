"""Streets: the geometry of a frame, painted from far to near.

A street runs straight ahead; x is to the right of its middle, y up, z along it, in metres. What stands along it
(buildings, trees, poles) stays where it is and the camera drives past; cars and people are elsewhere in every frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import numpy as np

from metai2i_scenes.atmosphere import photograph
from metai2i_scenes.canvas import SCALE, Canvas, Frame
from metai2i_scenes.colour import RGB
from metai2i_scenes.crowds import CONTACT, queues_and_groups
from metai2i_scenes.look import Draw, StreetLook
from metai2i_scenes.roadside import building, draw_crowns, garden, pole, tree
from metai2i_scenes.traffic import Thing, car, numbered, person
from metai2i_scenes.view import (
    CAR,
    CLASSES,
    MARKING,
    NEAR,
    PALETTE,
    PERSON,
    ROAD,
    SIDEWALK,
    SKY,
    VEGETATION,
    Camera,
    View,
)

FAR = 90.0
"""Metres ahead of the camera up to where buildings and trees are painted."""
STEP = 7.0
"""Metres that the camera drives from frame to frame."""
PERIOD = 64
"""After so many lots or trees they repeat."""


class Street:
    """One street.

    Args:
        look: what it looks like.
        rng: draws what stands along it.
        touching: whether cars queue and people walk in groups, so that those of one class touch and overlap.
    """

    classes = CLASSES
    palette = PALETTE

    def __init__(self, look: StreetLook, rng: np.random.Generator, touching: bool = False) -> None:
        self.look = look
        self.touching = touching
        self._lots = rng.random((PERIOD, 2, 8)).tolist()
        self._trees = rng.random((PERIOD, 2, 8)).tolist()
        self._crowns = draw_crowns(rng)
        self._texture = int(rng.integers(1 << 31))

    def render(self, frame: int, height: int, width: int, rng: np.random.Generator) -> Frame:
        """Return what a frame shows; `rng` draws what is in this frame only."""
        look, draw = self.look, Draw(rng)
        focal = 0.8 * math.sqrt(height * width) * SCALE
        cam = Camera(
            focal=focal,
            u=width * SCALE * (0.5 + draw.real(-0.09, 0.09)),
            v=height * SCALE * (look.horizon + draw.real(-0.015, 0.015)),
            x=look.road_half * 0.35 + draw.real(-0.9, 0.5),
            y=look.camera,
            z=frame * STEP + draw.real(0, STEP),
        )
        canvas = Canvas(height, width, ground=SKY, attributes=(1.0,), counted=(PERSON, CAR))
        view = View(canvas, cam, look, self._crowns)
        self._horizon(view)
        self._ground(view)
        moving = queues_and_groups(view, draw) if self.touching else self._moving(view, draw)
        things = [*self._buildings(view), *self._planted(view), *numbered(canvas, moving)]
        for _, paint in sorted(things, key=lambda thing: -thing[0]):
            paint()
        drawn = canvas.finish(contact=CONTACT if self.touching else 0.0)
        photo = photograph(
            drawn, look, u=cam.u / SCALE, v=cam.v / SCALE, focal=focal / SCALE, x=cam.x, texture=self._texture, rng=rng
        )
        return Frame(drawn.labels, drawn.instances, photo)

    # Ground and horizon

    def _horizon(self, view: View) -> None:
        """Draw hills or woods where the street ends."""
        look = self.look
        ink = view.canvas.ink(VEGETATION, look.light.through_air(look.light.on(look.hills), 130), 0, 0, 0, 0.3)
        right, top = view.canvas.width * SCALE, view.cam.focal * 0.075
        steps, phase = 24, self._lots[0][0][0]
        points = []
        for i in range(steps + 1):
            x = right * i / steps
            angle = (x - view.cam.u) / view.cam.focal
            wave = 0.45 * math.sin(angle * 5.3 + phase * 6) + 0.25 * math.sin(angle * 13 + phase * 9)
            points.append((x, view.cam.v - top * (1 + wave)))
        view.canvas.polygon([*points, (right, view.cam.v + 2), (0, view.cam.v + 2)], ink)

    def _shadow_edge(self) -> tuple[float, float] | None:
        """Return from where to where (x) the buildings on the side of the sun shade the ground."""
        light, look = self.look.light, self.look
        if max(light.sun_colour) < 0.45:
            return None
        side = math.copysign(1.0, light.sun[0])
        reach = 3.0 * sum(look.storeys) / 2 * abs(light.sun[0]) / light.sun[1]
        inner = max(self.look.edge - min(reach, 1.7 * self.look.edge), -self.look.edge)
        return (inner, 60.0) if side > 0 else (-60.0, -inner)

    def _ground(self, view: View) -> None:
        look = self.look
        bottom = view.canvas.height * SCALE
        near = view.cam.focal * view.cam.y / (bottom - view.cam.v) * 0.85
        shade = self._shadow_edge()

        def strip(x0: float, x1: float, label: int, albedo: RGB, *, z0: float = near, z1: float = 400.0) -> None:
            cuts = sorted({x0, x1, *(x for x in (shade or ()) if x0 < x < x1)})
            for left, right in pairwise(cuts):
                shadow = shade is not None and shade[0] <= (left + right) / 2 <= shade[1]
                ink = view.canvas.ink(label, look.light.on(albedo, (0, 1, 0), shadow=shadow), 0, 1)
                view.canvas.polygon(
                    [view.see(left, 0, z0), view.see(right, 0, z0), view.see(right, 0, z1), view.see(left, 0, z1)], ink
                )

        half, verge, edge = look.road_half, look.verge, self.look.edge
        for side in (-1, 1):
            for inner, outer, label, albedo in (
                (edge, 60.0, VEGETATION, look.lawn),
                (half + verge, edge, SIDEWALK, look.pavement),
                (half, half + verge, VEGETATION, look.lawn),
                (half, half + 0.25, SIDEWALK, look.curb),
            ):
                if outer > inner:
                    strip(min(side * inner, side * outer), max(side * inner, side * outer), label, albedo)
        strip(-half, half, ROAD, look.road)
        lane = half - 2.1
        for side in (-1, 1):
            x = side * lane
            strip(x - 0.07, x + 0.07, MARKING, look.marking)
        dash = 9.0
        first = math.floor((view.cam.z + near) / dash)
        for i in range(first, first + 7):
            z0, z1 = i * dash - view.cam.z, i * dash + 4.0 - view.cam.z
            if z1 > near:
                strip(-0.1, 0.1, MARKING, look.marking, z0=max(z0, near), z1=z1)
        crossing = 63.0
        z = math.ceil((view.cam.z + near) / crossing) * crossing - view.cam.z
        if z < 40:
            count = int(half / 0.5)
            for i in range(count):
                x = -half + 0.35 + i * (2 * half - 0.2) / count
                strip(x, x + 0.5, MARKING, look.marking, z0=z, z1=z + 3.2)

    # What stands along the street

    def _buildings(self, view: View) -> Iterator[Thing]:
        look = self.look
        first = math.floor((view.cam.z + NEAR) / look.lot)
        for k in range(first, first + math.ceil(FAR / look.lot)):
            for side in (0, 1):
                lot = self._lots[k % PERIOD][side]
                far = (k + 1) * look.lot - view.cam.z
                if lot[0] < look.gaps:
                    z = (k + 0.5) * look.lot - view.cam.z
                    if z > NEAR + 2:
                        yield z + 3, partial(garden, view, side, z, lot)
                else:
                    yield far, partial(building, view, side, k * look.lot - view.cam.z, far, lot)

    def _planted(self, view: View) -> Iterator[Thing]:
        look = self.look
        offset = look.road_half + (look.verge / 2 if look.verge else 0.6)
        if look.tree_spacing:
            first = math.ceil((view.cam.z + 3.0) / look.tree_spacing)
            for k in range(first, first + int(FAR / look.tree_spacing)):
                for side in (0, 1):
                    drawn = self._trees[k % PERIOD][side]
                    if drawn[0] < 0.75:
                        z = (k + 0.3 * (drawn[1] - 0.5)) * look.tree_spacing - view.cam.z
                        yield z, partial(tree, view, (2 * side - 1) * offset, z, drawn)
        first = math.ceil((view.cam.z + 4.0) / look.pole_spacing)
        for k in range(first, first + int(60 / look.pole_spacing)):
            side = k % 2
            z = k * look.pole_spacing - view.cam.z
            yield z, partial(pole, view, 2 * side - 1, (2 * side - 1) * (look.road_half + 0.4), z)

    # What moves

    def _moving(self, view: View, draw: Draw) -> Iterator[Thing]:
        look = self.look
        lane, parked = look.road_half * 0.36, look.road_half - 1.1
        z = draw.real(6.5, 15)
        while z < 60:
            if draw.chance(look.traffic):
                yield (
                    z,
                    partial(car, view, lane + draw.real(-0.2, 0.2), z, look.fleet[0], False, draw.chance(0.25)),
                )
            z += draw.real(9, 22)
        z = draw.real(5, 18)
        while z < 60:
            if draw.chance(look.traffic):
                yield (
                    z,
                    partial(car, view, -lane + draw.real(-0.2, 0.2), z, look.fleet[1], True, draw.chance(0.25)),
                )
            z += draw.real(10, 26)
        for side in (0, 1):
            z = draw.real(3.0, 9.0)
            while z < 45:
                if draw.chance(0.55 * look.traffic):
                    yield (
                        z,
                        partial(
                            car,
                            view,
                            (2 * side - 1) * parked,
                            z,
                            look.fleet[2 + side],
                            side == 0,
                            draw.chance(0.2),
                        ),
                    )
                z += draw.real(5.2, 9.0)
            z = draw.real(4.0, 8.0)
            while z < 35:
                if draw.chance(look.crowd):
                    x = look.road_half + look.verge + draw.real(0.5, max(0.6, look.sidewalk - 0.4))
                    yield (
                        z,
                        partial(
                            person,
                            view,
                            side,
                            (2 * side - 1) * x,
                            z,
                            draw.real(0, 1),
                            draw.real(1.5, 1.85),
                        ),
                    )
                z += draw.real(1.2, 7.0)
        if draw.chance(0.3 * look.crowd):
            z = draw.real(8, 18)
            yield (
                z,
                partial(
                    person,
                    view,
                    draw.choice((0, 1)),
                    draw.real(-0.8, 0.8) * look.road_half,
                    z,
                    draw.real(0, 1),
                    1.7,
                ),
            )
