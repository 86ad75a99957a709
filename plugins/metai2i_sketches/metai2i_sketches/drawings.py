"""Drawings by hand: images, and the two forms of QuickDraw. All of them come out as black on white.

A folder of drawings has for each class a folder of images (`cat/*.png`), a list of strokes (`cat.ndjson`, simplified or
raw) or bitmaps of 28x28 (`cat.npy`, white on black, which are turned round).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from metai2i_domains import images_in
from PIL import Image, ImageDraw

from metai2i import Location, UserError, reason
from metai2i.data import (
    DAMAGED,
    Size,
    by_stem,
    check_name,
    evenly_chosen,
    fitted_drawing,
    read_photograph,
    subfolders,
)

Form = Literal["image", "strokes", "bitmap"]
FORMS = ("folder of images", "NAME.ndjson", "NAME.npy")
WHITE = (255, 255, 255)
_BOX, _LINE, _MARGIN = 256, 4, 12
"""Strokes are drawn into a square of this side, by lines of this width, with a margin, before they are resized."""
_BITMAP = 28
_LONGEST = 2**24
"""Bytes of a line of strokes."""


@dataclass(frozen=True)
class Drawing:
    """Where a drawing is.

    Args:
        path: the file.
        form: what is in the file.
        place: which drawing of the file, from 0; the line, for strokes.
        line: the strokes, as they stand there.
    """

    path: Path
    form: Form = "image"
    place: int = 0
    line: str = field(default="", repr=False)

    def __str__(self) -> str:
        if self.form == "image":
            return str(self.path)
        return str(Location(str(self.path), self.place + 1)) if self.form == "strokes" else f"{self.path}[{self.place}]"


def find_drawings(root: Path, most: int) -> dict[str, list[Drawing]]:
    """Return the drawings of each class in a folder: at most so many of each, evenly spaced.

    Where a class has several forms, its images count, else its strokes.

    Raises:
        UserError: when there are none, or a file is not of its form.
    """
    if not root.is_dir():
        what = "this is a file" if root.exists() else "no such folder"
        raise UserError(f"{what}, expected one with drawings", where=root, hint="tasks.sketches names it")
    classes: dict[str, list[Drawing]] = {}
    for name, (path, *_) in by_stem(root, (".npy",)).items():
        classes[name] = [Drawing(path, "bitmap", n) for n in range(len(_bitmaps(path)))]
    for name, (path, *_) in by_stem(root, (".ndjson",)).items():
        classes[name] = [Drawing(path, "strokes", n, line) for n, line in enumerate(_lines(path))]
    for folder in subfolders(root):
        check_name(folder)
        images = images_in(folder)
        if images:
            classes[folder.name] = [Drawing(path) for path in images]
    if not any(classes.values()):
        raise UserError("there are no drawings here", where=root, hint=f"for each class a {', or '.join(FORMS)}")
    return {name: list(evenly_chosen(classes[name], most)) for name in sorted(classes)}


def read_drawing(drawing: Drawing, size: Size, *, inverted: bool = False) -> np.ndarray:
    """Return a drawing at a size: (H, W) uint8, black on white.

    Args:
        drawing: where it is.
        size: (height, width).
        inverted: whether images are white on black.

    Raises:
        UserError: when it cannot be read, is empty, or is white on black.
    """
    if drawing.form == "strokes":
        image = _drawn(_strokes(drawing))
    elif drawing.form == "bitmap":
        pixels = 255 - _bitmaps(drawing.path)[drawing.place].reshape(_BITMAP, _BITMAP)
        image = Image.fromarray(np.ascontiguousarray(pixels))
    else:
        image = read_photograph(drawing.path, on=WHITE).convert("L")
        if inverted:
            image = Image.fromarray(255 - np.asarray(image))
    turned = "tasks.inverted turned it round: leave it out" if inverted else "tasks.inverted: true turns it round"
    return fitted_drawing(image, size, str(drawing), turned)


def _bitmaps(path: Path) -> np.ndarray:
    """Return the bitmaps of a file, (N, 784) uint8."""
    try:
        bitmaps: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise UserError(f"the bitmaps cannot be read: {reason(error)}", where=path) from None
    except DAMAGED as error:
        raise UserError(f"this is no array of NumPy: {error}", where=path) from None
    shape: tuple[int, ...] = getattr(bitmaps, "shape", ())
    kind = getattr(bitmaps, "dtype", None)
    if shape[1:] not in ((_BITMAP**2,), (_BITMAP, _BITMAP)) or kind != np.uint8 or not shape[0]:
        what = f"got an array {shape} of {kind}, expected bitmaps of QuickDraw: (N, {_BITMAP**2}) of uint8"
        raise UserError(what, where=path)
    array: np.ndarray = bitmaps
    return array


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"the drawings cannot be read: {reason(error)}", where=path) from None
    except UnicodeDecodeError:
        raise UserError("this is not a text in UTF-8, expected a drawing in each line", where=path) from None
    lines = text.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise UserError("there are no drawings in this file", where=path)
    return lines


def _strokes(drawing: Drawing) -> list[np.ndarray]:
    """Return the strokes of a drawing, (points, 2) each."""
    where = Location(str(drawing.path), drawing.place + 1)
    wrong = UserError('expected {"drawing": [[[x, ...], [y, ...]], ...]}, as QuickDraw has it', where=where)
    if len(drawing.line) > _LONGEST:
        raise UserError(f"a drawing of more than {_LONGEST // 2**20} MiB", where=where)
    try:
        content: Any = json.loads(drawing.line)
        strokes = [np.asarray([stroke[0], stroke[1]], dtype=np.float64).T for stroke in content["drawing"]]
    except (*DAMAGED, RecursionError):
        raise wrong from None
    if any(stroke.ndim != 2 or not np.isfinite(stroke).all() for stroke in strokes):
        raise wrong
    kept = [stroke for stroke in strokes if len(stroke)]
    if not kept:
        raise UserError("the drawing is empty: it has no strokes", where=where)
    return kept


def _drawn(strokes: Sequence[np.ndarray]) -> Image.Image:
    """Return strokes as lines in the middle of a white square, as large as fits."""
    points = np.concatenate(strokes)
    low, high = points.min(0), points.max(0)
    scale = (_BOX - 2 * _MARGIN) / max(float((high - low).max()), 1e-9)
    if float((high - low).max()) <= 0:  # a single point
        scale = 0.0
    image = Image.new("L", (_BOX, _BOX), 255)
    draw = ImageDraw.Draw(image)
    for stroke in strokes:
        placed = (stroke - (low + high) / 2) * scale + _BOX / 2
        corners = [(float(x), float(y)) for x, y in placed]
        if len(corners) > 1:
            draw.line(corners, fill=0, width=_LINE, joint="curve")
        for x, y in (corners[0], corners[-1]):
            draw.ellipse((x - _LINE / 2, y - _LINE / 2, x + _LINE / 2, y + _LINE / 2), fill=0)
    return image
