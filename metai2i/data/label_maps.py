"""The one reader of label maps: the class of every pixel, by numbers or by colours, as the map's owner sees them.

A map holds class ids (grey levels, or the indices of a palette that is only for looking at), or the data's colours
(RGB, or a palette of these colours in any order, as programs that make images smaller write them). What may be meant
in two ways is refused. `docs/data.md` has the table of all kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from metai2i.data.decoding import (
    MAPS,
    check_sums,
    grey_scale,
    has_wide_channels,
    kind_of_pixels,
    opened,
    stretched_from,
    turn_of,
)
from metai2i.data.photographs import WIDE, Colour, percent, refuse_transparent
from metai2i.data.remarks import Remark
from metai2i.errors import UserError, counted
from metai2i.tasks import TaskSpec

T = TypeVar("T")

SPECKS = 0.01
"""Up to this share of a map's pixels may have colours that no class has, where the data have a class for the rest."""
_NEAR = 8.0
"""A palette colour within this distance of a class's colour is meant to be that colour."""
SMOOTHED = 0.11
"""A map of ids is taken for smoothed when it has more blends than this share of its borders. Sound maps of faces and
streets have up to 0.085, maps that were resized by linear or cubic filters 0.18 to 0.7, those stored as JPEG 0.13 to
0.7, whatever its quality."""
SMOOTHED_PIXELS = 20
"""Fewer blends than these tell nothing."""
MANY = 16
"""More unknown colours than these are the blends of smoothing or of JPEG, not a class of another colour."""
_MOST_LISTED = 20
"""With up to so many classes, a message names them all."""
_UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class Legend:
    """What the numbers and the colours in the label maps of some data mean.

    Args:
        names: of the classes, by class; may be empty.
        ids: the class of each number that a map may hold; empty where maps have colours only.
        colours: the class of each colour that a map may have; empty where maps have numbers only.
        rest: the class of a few pixels of colours that no class has; None refuses them.
        hint: what to do about numbers or colours that are not in the legend.
    """

    names: Sequence[str] = ()
    ids: Mapping[int, int] = field(default_factory=dict)
    colours: Mapping[Colour, int] = field(default_factory=dict)
    rest: int | None = None
    hint: str = "a map holds class ids, in grey or a palette, or the data's colours"

    @cached_property
    def class_of_id(self) -> np.ndarray:
        """Return (65536,) int16: the class of each number, or `_UNKNOWN`."""
        table = np.full(1 << 16, _UNKNOWN, np.int16)
        for number, to in self.ids.items():
            table[number] = to
        return table

    @cached_property
    def class_of_colour(self) -> np.ndarray:
        """Return (2^24,) int16: the class of each colour, packed as 0xRRGGBB, or `_UNKNOWN`."""
        table = np.full(1 << 24, _UNKNOWN, np.int16)
        for (r, g, b), to in self.colours.items():
            table[r << 16 | g << 8 | b] = to
        return table

    def name(self, number: int) -> str:
        """Return a class in words."""
        return self.names[number] if self.names else f"class {number}"

    def nearest(self, colour: Colour) -> tuple[Colour, int, float]:
        """Return the nearest known colour, its class, and its distance."""
        known = np.array(list(self.colours))
        squared = ((known - colour) ** 2).sum(1)
        near = tuple(map(int, known[squared.argmin()]))
        return (near[0], near[1], near[2]), self.colours[near[0], near[1], near[2]], float(squared.min() ** 0.5)

    @cached_property
    def expected_ids(self) -> str:
        """Return the numbers that maps may hold, for people: "0 to 2 (0 road, 1 sky, 2 car)"."""
        runs: list[list[int]] = []
        for number in sorted(self.ids):
            if runs and number == runs[-1][-1] + 1:
                runs[-1].append(number)
            else:
                runs.append([number])
        ranges = " and ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
        plain = bool(self.names) and all(number == to for number, to in self.ids.items())
        listed = plain and len(self.ids) <= _MOST_LISTED
        return f"{ranges}: {', '.join(f'{i} {self.names[i]}' for i in sorted(self.ids))}" if listed else ranges

    def __reduce__(self) -> tuple[type[Legend], tuple[object, ...]]:
        """Copy without the tables, which are large and quickly made."""
        return Legend, (self.names, self.ids, self.colours, self.rest, self.hint)


@dataclass(frozen=True)
class LabelMap:
    """A label map that has been read.

    Args:
        classes: (H, W) uint8 (int16 where there are more than 256), upright.
        remarks: what its owner should know about it.
    """

    classes: np.ndarray
    remarks: tuple[Remark, ...] = ()


def legend_of(spec: TaskSpec) -> Legend:
    """Return the legend of a data set's own class ids and colours.

    Colours count only where each class has its own.
    """
    return _plain_legend(spec.structure_channels, tuple(spec.classes), tuple((r, g, b) for r, g, b in spec.palette))


@lru_cache(maxsize=4)
def _plain_legend(count: int, names: tuple[str, ...], palette: tuple[Colour, ...]) -> Legend:
    distinct = len(set(palette)) == len(palette) == count
    colours = {colour: i for i, colour in enumerate(palette)} if distinct else {}
    return Legend(names, {i: i for i in range(count)}, colours)


def read_label_map(path: Path, legend: Legend) -> LabelMap:
    """Return the classes of a map's pixels.

    Raises:
        UserError: naming the file, when it cannot be read, has numbers or colours that the legend has not (and these
            are more than a few specks), is transparent somewhere, or may be meant in two ways.
    """
    return read_exact(path, lambda image, scale: _understood(image, scale, legend))


def read_exact(path: Path, understood: Callable[[Image.Image, int], T]) -> T:
    """Return what the pixels of a map mean.

    Args:
        path: of an image in a format that keeps every pixel as it was.
        understood: is called with the image, upright, and by how much its grey levels are stretched.

    Raises:
        UserError: naming the file, when it cannot be read, blends its pixels, is transparent somewhere, or is not
            understood.
    """
    with opened(path, MAPS) as image:
        check_sums(image, path)
        if image.info.get("compression") in ("jpeg", "tiff_jpeg", "webp"):
            raise UserError("the map is compressed as a JPEG is, which blends the classes along every edge", where=path)
        if has_wide_channels(image):
            raise UserError("the map has several channels of 16 bits, expected 8 bits in each", where=path)
        if (most := stretched_from(image)) is not None:
            what = f"the file says that its levels go up to {most}, so viewers and readers stretch them to 255"
            raise UserError(what, where=path, hint="save it as PNG, or with 255 for the largest level")
        scale = grey_scale(image)
        turn = turn_of(image)
        image.load()
        try:
            refuse_transparent(image, scale)
            return understood(image if turn is None else image.transpose(turn), scale)
        except UserError as error:
            raise UserError(error.what, where=path, hint=error.hint) from None


def _understood(image: Image.Image, scale: int, legend: Legend) -> LabelMap:
    if image.mode == "P":
        return _of_palette(np.asarray(image), _palette(image), legend)
    if image.mode in ("RGB", "RGBA", "RGBX"):
        return of_colours(np.asarray(image.convert("RGB")), legend)
    if image.mode not in ("1", "L", "LA", *WIDE):
        raise UserError(
            f"expected class ids in grey or palette, or the data's colours, got {kind_of_pixels(image.mode)}"
        )
    if not legend.ids:  # a black pixel might be a colour or the id 0
        raise UserError("expected a label map of colours, got grey levels, which may be class ids", hint=legend.hint)
    numbers = np.asarray(image if image.mode != "LA" else image.getchannel(0))
    return of_ids(numbers // scale if scale > 1 else numbers, legend)


def of_ids(numbers: np.ndarray, legend: Legend) -> LabelMap:
    """Return the classes of a map of ids (H, W).

    Raises:
        UserError: for numbers that the legend has not; it names no file.
    """
    table = legend.class_of_id
    outside = (numbers < 0) | (numbers >= len(table)) if numbers.dtype.itemsize > 2 else np.False_
    classes = table[np.where(outside, 0, numbers) if np.any(outside) else numbers.astype(np.intp)]
    strange = numbers[(classes == _UNKNOWN) | outside]
    if strange.size:
        which, counts = np.unique(strange, return_counts=True)
        common = ", ".join(str(int(which[i])) for i in np.argsort(-counts, kind="stable")[:5])
        raise UserError(
            f"{_pixels(strange.size, numbers.size)} class ids that the data has not ({common}), "
            f"expected {legend.expected_ids}",
            hint=legend.hint,
        )
    blends, borders = blended(numbers)
    remarks = (Remark("smoothed", blends, borders),) if looks_smoothed(blends, borders) else ()
    return LabelMap(_small(classes), remarks)


def of_colours(pixels: np.ndarray, legend: Legend) -> LabelMap:
    """Return the classes of a map of colours (H, W, 3).

    Raises:
        UserError: for more than a few specks of colours that the legend has not; it names no file.
    """
    packed = (pixels[..., 0].astype(np.int32) << 16) | (pixels[..., 1].astype(np.int32) << 8) | pixels[..., 2]
    classes = legend.class_of_colour[packed] if legend.colours else np.full(packed.shape, _UNKNOWN, np.int16)
    strange = classes == _UNKNOWN
    if not strange.any():
        return LabelMap(_small(classes))
    if legend.ids and (pixels[..., :1] == pixels).all() and (legend.class_of_id[pixels[..., 0]] != _UNKNOWN).all():
        return of_ids(pixels[..., 0], legend)  # a grey image of ids, kept in three channels
    if not legend.colours:
        raise UserError(
            "this map is coloured, but the data does not have a colour for each class",
            hint=f"write class ids into one channel: {legend.expected_ids}",
        )
    colours, counts = np.unique(packed[strange], return_counts=True)
    commonest = int(colours[counts.argmax()])
    rgb = (commonest >> 16, commonest >> 8 & 255, commonest & 255)
    near, number, _ = legend.nearest(rgb)
    if legend.rest is None or strange.mean() > SPECKS:
        blends = f"{len(colours)} such colours are what smoothing or JPEG leaves: resize maps by the nearest pixel"
        why = blends if len(colours) > MANY else legend.hint
        raise UserError(
            f"{_pixels(int(strange.sum()), strange.size)} colours that no class has, most of them {rgb}",
            hint=f"the nearest is {legend.name(number)} {near}; {why}",
        )
    which = f"{rgb}, the nearest being {legend.name(number)} {near}; they count as {legend.name(legend.rest)}"
    remark = Remark("specks", int(strange.sum()), strange.size, which)
    return LabelMap(_small(np.where(strange, np.int16(legend.rest), classes)), (remark,))


def blended(numbers: np.ndarray) -> tuple[int, int]:
    """Return how many pixels of a map of ids (H, W) look like blends, and how many borders there are between
    neighbours.

    A blend lies between two pixels, left and right or above and below, of which one has a smaller and one a greater id,
    as smoothing makes them along borders of classes whose ids are not successive; or its four neighbours all have other
    ids than it, as JPEG leaves single pixels behind.
    """
    across = numbers[:, 1:] != numbers[:, :-1]
    down = numbers[1:] != numbers[:-1]
    alone = across[1:-1, 1:] & across[1:-1, :-1] & down[1:, 1:-1] & down[:-1, 1:-1]
    blends = int(alone.sum())
    for rows, change in ((numbers, across), (numbers.T, down.T)):
        y, x = np.nonzero(change[:, 1:] & change[:, :-1])
        before, here, after = (rows[y, x + step].astype(np.int64) for step in range(3))
        blends += int((((before < here) & (here < after)) | ((before > here) & (here > after))).sum())
    return blends, int(across.sum()) + int(down.sum())


def looks_smoothed(blends: int, borders: int) -> bool:
    """Return whether a map of ids, of which `blended` gave these counts, was resized with smoothing or
    stored as JPEG.
    """
    return blends >= SMOOTHED_PIXELS and blends > SMOOTHED * borders


def _of_palette(indices: np.ndarray, palette: Sequence[Colour], legend: Legend) -> LabelMap:
    """Return the classes of a palette image: by its colours if they are the data's, else by its indices if nothing
    speaks against these.
    """
    used = np.flatnonzero(np.bincount(indices.ravel(), minlength=1)).tolist()
    beyond = [i for i in used if i >= len(palette)]
    if beyond:
        raise UserError(
            f"pixels have the index {beyond[0]}, but the palette has only {counted(len(palette), 'colour')}"
        )
    by_index = {i: legend.ids.get(i) for i in used}
    by_colour = {i: legend.colours.get(palette[i]) for i in used}
    by_grey = {i: legend.ids.get(palette[i][0]) if len(set(palette[i])) == 1 else None for i in used}
    coloured = np.array([*palette, *[(0, 0, 0)] * (256 - len(palette))], np.uint8)
    if legend.ids and None not in by_index.values() and by_index == by_colour:
        return of_ids(indices, legend)
    if legend.ids and None not in by_grey.values():  # a grey image of ids, kept in a palette
        return of_ids(coloured[indices, 0], legend)
    if (
        legend.ids
        and not any(_contradicts(by_index[i], by_colour[i], by_grey[i], palette[i], legend) for i in used)
        and None in by_colour.values()
    ):
        read = of_ids(indices, legend)
        return LabelMap(read.classes, (*read.remarks, Remark("palette")) if legend.colours else read.remarks)
    return of_colours(coloured[indices], legend)


def _contradicts(
    by_index: int | None, by_colour: int | None, by_grey: int | None, colour: Colour, legend: Legend
) -> bool:
    """Return whether a palette's colour says that its index is not the class."""
    if by_colour is not None:
        return by_index not in (by_colour, by_grey)
    if not legend.colours:
        return False
    _, number, distance = legend.nearest(colour)
    return distance <= _NEAR and number != by_index


def _palette(image: Image.Image) -> list[Colour]:
    levels = image.getpalette("RGB") or []
    return [(levels[i], levels[i + 1], levels[i + 2]) for i in range(0, len(levels) - 2, 3)]


def _small(classes: np.ndarray) -> np.ndarray:
    return classes.astype(np.uint8) if not classes.size or classes.max() < 256 else classes


def _pixels(count: int, total: int) -> str:
    """Return that so many of a map's pixels have something, in words.

    >>> _pixels(16, 64)
    '16 pixels (25 %) have'
    """
    return f"{counted(count, 'pixel')} ({percent(count / total)}) {'has' if count == 1 else 'have'}"
