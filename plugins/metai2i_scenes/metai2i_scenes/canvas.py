"""The canvas: map and photograph from one drawing.

Shapes are painted as the numbers of *inks* into one supersampled image. An ink has a class, a colour and a few
attributes. The label map is the class of the ink at the centre of each pixel (point sampled, never blended), the
photograph starts as the mean colour over the pixel. So the two agree to the pixel, whatever is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from metai2i_scenes.colour import RGB
from metai2i_scenes.noise import Field

SCALE = 3
"""Samples along each side of a pixel; odd, so that one of them is the centre."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Drawn:
    """A finished drawing at pixel resolution.

    Args:
        labels: (H, W) uint8 class ids.
        colour: (H, W, 3) mean colours in 0..1.
        attributes: (H, W, 4) mean attributes in 0..1; what they mean is up to who paints.
    """

    labels: NDArray[np.uint8]
    colour: Field
    attributes: Field


class Canvas:
    """Paints shapes, later over earlier. Coordinates are samples: `SCALE` times those of pixels.

    Args:
        height: of the finished image, in pixels.
        width: of the finished image, in pixels.
        ground: the class everything starts as.
        colour: the colour everything starts in.
        attributes: the attributes everything starts with.
    """

    def __init__(
        self, height: int, width: int, *, ground: int = 0, colour: RGB = (0, 0, 0), attributes: Sequence[float] = ()
    ) -> None:
        self.height, self.width = height, width
        self._image = Image.new("I", (width * SCALE, height * SCALE), 0)
        self._pen = ImageDraw.Draw(self._image)
        self._classes: list[int] = []
        self._colours: list[tuple[float, ...]] = []
        self._attributes: list[tuple[float, ...]] = []
        self._labels: NDArray[np.uint8] | None = None
        self.ink(ground, colour, *attributes)

    def ink(self, label: int, colour: RGB, *attributes: float) -> int:
        """Return a new ink, by its number; attributes not given are 0."""
        self._classes.append(label)
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
        """Take the label map now: what is painted from here on shows in the photograph only."""
        self._labels = self._take_labels()

    def _take_labels(self) -> NDArray[np.uint8]:
        centres = np.asarray(self._image)[SCALE // 2 :: SCALE, SCALE // 2 :: SCALE]
        labels: NDArray[np.uint8] = np.asarray(self._classes, np.uint8)[centres]
        return labels

    def finish(self) -> Drawn:
        """Return the drawing at pixel resolution."""
        inks = np.asarray(self._image)
        labels = self._labels if self._labels is not None else self._take_labels()
        return Drawn(labels, _resolve(inks, self._colours)[..., :3], _resolve(inks, self._attributes))


def _resolve(inks: NDArray[np.int32], table: list[tuple[float, ...]]) -> Field:
    """Return the mean over each pixel of what `table` holds for its inks: (H, W, 4) in 0..1."""
    entries = (np.clip(np.asarray(table, np.float32), 0, 1) * 255 + 0.5).astype(np.uint8)
    packed = np.ascontiguousarray(entries).view(np.uint32)[:, 0]
    samples = packed[inks].view(np.uint8).reshape(*inks.shape, 4)
    means = Image.frombuffer("RGBX", (inks.shape[1], inks.shape[0]), samples, "raw", "RGBX", 0, 1).reduce(SCALE)
    return np.asarray(means, np.float32) / 255
