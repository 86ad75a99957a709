"""The colours in which the page shows classes: the data's own, or some that are far apart where it has none."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

from metai2i.data.photographs import Colour
from metai2i.tasks import TaskSpec

_TURN = 0.6180339887
"""Of the circle of hues between two classes: the golden section keeps all of them apart."""


def shown_colours(spec: TaskSpec) -> Sequence[Colour]:
    """Return a colour for each class: the data's, where each class has one of its own."""
    palette = [(r, g, b) for r, g, b in spec.palette]
    if len(set(palette)) == spec.structure_channels:
        return palette
    return [far_colour(n) for n in range(spec.structure_channels)]


def far_colour(n: int) -> Colour:
    """Return the colour of a class by its number, far from those of the classes beside it, and never grey."""
    red, green, blue = colorsys.hls_to_rgb(n * _TURN % 1, (0.42, 0.62, 0.3)[n % 3], (0.55, 0.75)[n // 3 % 2])
    return round(red * 255), round(green * 255), round(blue * 255)
