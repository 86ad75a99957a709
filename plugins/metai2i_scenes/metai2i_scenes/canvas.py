"""The canvas: map and photograph from one drawing.

Shapes are painted as the numbers of *inks* into one supersampled image. An ink has a class, a colour and a few
attributes. The label map is the class of the ink at the centre of each pixel (point sampled, never blended), the
photograph starts as the mean colour over the pixel. So the two agree to the pixel, whatever is drawn. Inks of classes
that are counted also have the number of the thing that they are painted on, and the instance map is made of these.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from metai2i_scenes.colour import RGB
from metai2i_scenes.noise import Field

SCALE = 3
"""Samples along each side of a pixel; odd, so that one of them is the centre."""
INSTANCES = 1000
"""The thing with number n of class c has the id 1000 c + n, as in Cityscapes; what is not counted has the id c."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Drawn:
    """A finished drawing at pixel resolution.

    Args:
        labels: (H, W) uint8 class ids.
        instances: (H, W) uint16 ids: the class, or `INSTANCES` times the class and the number of the thing.
        colour: (H, W, 3) mean colours in 0..1.
        attributes: (H, W, 4) mean attributes in 0..1; what they mean is up to who paints.
    """

    labels: NDArray[np.uint8]
    instances: NDArray[np.uint16]
    colour: Field
    attributes: Field


@dataclass(frozen=True)
class Frame:
    """One frame of a scene.

    Args:
        labels: (H, W) uint8 class ids.
        instances: (H, W) uint16 ids, as `Drawn` has them.
        photo: (H, W, 3) uint8.
    """

    labels: NDArray[np.uint8]
    instances: NDArray[np.uint16]
    photo: NDArray[np.uint8]


class Canvas:
    """Paints shapes, later over earlier. Coordinates are samples: `SCALE` times those of pixels.

    Args:
        height: of the finished image, in pixels.
        width: of the finished image, in pixels.
        ground: the class everything starts as.
        colour: the colour everything starts in.
        attributes: the attributes everything starts with.
        counted: the classes of which each thing is an instance of its own.
    """

    def __init__(
        self,
        height: int,
        width: int,
        *,
        ground: int = 0,
        colour: RGB = (0, 0, 0),
        attributes: Sequence[float] = (),
        counted: Collection[int] = (),
    ) -> None:
        self.height, self.width = height, width
        self.thing = 0
        """The number of the thing that is being painted, below `INSTANCES`; 0 for all that is not counted."""
        self._counted = counted
        self._image = Image.new("I", (width * SCALE, height * SCALE), 0)
        self._pen = ImageDraw.Draw(self._image)
        self._classes: list[int] = []
        self._ids: list[int] = []
        self._colours: list[tuple[float, ...]] = []
        self._attributes: list[tuple[float, ...]] = []
        self._maps: tuple[NDArray[np.uint8], NDArray[np.uint16]] | None = None
        self.ink(ground, colour, *attributes)

    def ink(self, label: int, colour: RGB, *attributes: float) -> int:
        """Return a new ink, by its number; attributes not given are 0."""
        self._classes.append(label)
        is_thing = self.thing and label in self._counted
        self._ids.append(INSTANCES * label + self.thing if is_thing else label)
        self._colours.append((*colour, 0.0))
        self._attributes.append((*attributes, *(0.0,) * (4 - len(attributes))))
        return len(self._classes) - 1

    def polygon(self, points: Sequence[Point], ink: int) -> None:
        """Draw a filled polygon."""
        self._pen.polygon(points, fill=ink)

    def ellipse(self, x: float, y: float, rx: float, ry: float, ink: int) -> None:
        """Draw a filled ellipse around (x, y)."""
        self._pen.ellipse((x - rx, y - ry, x + rx, y + ry), fill=ink)

    def line(self, points: Iterable[Point], ink: int, width: float) -> None:
        """Draw a polyline, at least one sample wide."""
        self._pen.line(list(points), fill=ink, width=max(1, round(width)), joint="curve")

    def freeze_labels(self) -> None:
        """Take the maps now: what is painted from here on shows in the photograph only."""
        self._maps = self._take_maps()

    def _take_maps(self) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        centres = np.asarray(self._image)[SCALE // 2 :: SCALE, SCALE // 2 :: SCALE]
        return np.asarray(self._classes, np.uint8)[centres], np.asarray(self._ids, np.uint16)[centres]

    def finish(self, contact: float = 0.0) -> Drawn:
        """Return the drawing at pixel resolution.

        Args:
            contact: how much darker a thing is, 0 to 1, along the border of a nearer one of its class; see `touched`.
        """
        inks = np.asarray(self._image)
        labels, instances = self._maps if self._maps is not None else self._take_maps()
        colour = _resolve(inks, self._colours)[..., :3]
        if contact:
            colour = colour * (1 - contact * self.touched())[..., None]
        return Drawn(labels, instances, colour, _resolve(inks, self._attributes))

    def touched(self) -> Field:
        """Return the share (H, W) of each pixel on a thing and within a pixel of a later painted one of its class.

        Only along rows and columns. There the nearer thing keeps the light off, and its border shows even where both
        have one colour.
        """
        inks = np.asarray(self._image)
        ids = np.asarray(self._ids)[inks]
        shaded = np.zeros(ids.shape, bool)
        for axis in (0, 1):
            for step in range(1, SCALE + 1):
                before = tuple(slice(None, -step) if n == axis else slice(None) for n in (0, 1))
                behind = tuple(slice(step, None) if n == axis else slice(None) for n in (0, 1))
                for here, there in ((before, behind), (behind, before)):
                    kin = (ids[here] >= INSTANCES) & (ids[here] // INSTANCES == ids[there] // INSTANCES)
                    shaded[here] |= kin & (ids[here] != ids[there]) & (inks[here] < inks[there])
        share: Field = shaded.reshape(self.height, SCALE, self.width, SCALE).mean((1, 3), dtype=np.float32)
        return share


def _resolve(inks: NDArray[np.int32], table: list[tuple[float, ...]]) -> Field:
    """Return the mean over each pixel of what `table` holds for its inks: (H, W, 4) in 0..1."""
    entries = (np.clip(np.asarray(table, np.float32), 0, 1) * 255 + 0.5).astype(np.uint8)
    packed = np.ascontiguousarray(entries).view(np.uint32)[:, 0]
    samples = packed[inks].view(np.uint8).reshape(*inks.shape, 4)
    means = Image.frombuffer("RGBX", (inks.shape[1], inks.shape[0]), samples, "raw", "RGBX", 0, 1).reduce(SCALE)
    return np.asarray(means, np.float32) / 255
