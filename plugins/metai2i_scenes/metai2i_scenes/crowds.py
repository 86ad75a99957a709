"""Cars that queue and people who walk in groups: those of one class touch and overlap, as on real streets.

A label map of classes shows them as one region. Which pixel is whose, only the instance map tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from metai2i_scenes.look import Draw
from metai2i_scenes.traffic import Thing, car, person
from metai2i_scenes.view import View

CONTACT = 0.65
"""How much darker a thing is along the border of a nearer one of its class."""
FAR = 60.0
"""Metres ahead of the camera up to where there are cars; people are up to 35."""


def queues_and_groups(view: View, draw: Draw) -> Iterator[Thing]:
    """Yield cars, bumper to bumper in both lanes and at both kerbs, and groups of two to four people on both sides."""
    lane, parked = view.look.road_half * 0.36, view.look.road_half - 1.1
    for x, fleet, oncoming, least in ((lane, 0, False, 6.5), (-lane, 1, True, 5.0)):
        yield from queue(view, draw, x, fleet, oncoming, draw.real(least, least + 4))
    for side in (0, 1):
        yield from queue(view, draw, (2 * side - 1) * parked, 2 + side, side == 0, draw.real(3.0, 6.0))
        yield from groups(view, draw, side)


def queue(view: View, draw: Draw, x: float, fleet: int, oncoming: bool, z: float) -> Iterator[Thing]:
    """Yield cars of 4.3 m behind each other from z on, some decimetres apart, now and then with a gap."""
    while z < FAR:
        paint, van = view.look.fleet[fleet], draw.chance(0.2)
        yield z, partial(car, view, x + draw.real(-0.25, 0.25), z, paint, oncoming, van)
        z += draw.real(4.45, 5.1) + (draw.real(4.0, 9.0) if draw.chance(0.15) else 0.0)


def groups(view: View, draw: Draw, side: int) -> Iterator[Thing]:
    """Yield groups of people on the pavement, beside each other at less than the width of their shoulders."""
    look, z = view.look, draw.real(4.0, 7.0)
    while z < 35:
        x = look.road_half + look.verge + draw.real(0.3, max(0.4, look.sidewalk - 1.2))
        for _ in range(2 + int(draw.real(0, 3))):
            at = z + draw.real(-0.25, 0.25)
            yield at, partial(person, view, side, (2 * side - 1) * x, at, draw.real(0, 1), draw.real(1.5, 1.85))
            x += draw.real(0.22, 0.42)
        z += draw.real(1.8, 6.0)
