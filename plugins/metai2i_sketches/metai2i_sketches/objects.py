"""Photographs of objects and the drawings that go with them: where they lie, and how a pair is read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from metai2i_domains import Part, Tree, find_tree

from metai2i import UserError
from metai2i.data import (
    MemoryCache,
    Size,
    cached,
    evenly_chosen,
    fit_photo,
    fitted_drawing,
    header,
    read_photograph,
)
from metai2i_sketches.drawings import WHITE, Drawing, read_drawing
from metai2i_sketches.edges import xdog

Layout = Literal["edgegan", "sketchycoco", "photographs"]
LOOKED_AT = 25
"""Images whose sizes say which layout a root has."""
READING = "1"
"""Changes when the same files would give other images."""

THINGS: Mapping[str, str] = {
    "2": "bicycle", "3": "car", "4": "motorcycle", "5": "airplane", "10": "traffic_light", "11": "fire_hydrant",
    "17": "cat", "18": "dog", "19": "horse", "20": "sheep", "21": "cow", "22": "elephant", "24": "zebra",
    "25": "giraffe",
}  # fmt: skip
"""SketchyCOCO's classes of objects by their ids."""


@dataclass(frozen=True)
class ObjectFiles:
    """The files of a photograph of an object and of its drawing.

    Args:
        photo: the photograph; with the drawing at its left where `beside` says so.
        drawing: its drawing; None for edges that are made on the spot.
        beside: whether both are in one image.
    """

    photo: Path
    drawing: Path | None = None
    beside: bool = False

    @property
    def files(self) -> tuple[Path, Path]:
        """Return the files of both, the photograph first; edges are of the photograph's."""
        return self.photo, self.drawing or self.photo

    def check(self) -> None:
        """Look at what costs little: that both are there, are images, and are of one size where they lie side by side.

        Raises:
            UserError: naming the photograph or its drawing.
        """
        size = header(self.photo).size
        if self.beside:
            check_beside(size, self.photo)
        if self.drawing is not None:
            if not self.drawing.is_file():
                raise UserError(f"the photograph has no drawing; expected {self.drawing}", where=self.photo)
            header(self.drawing)


Classes = Mapping[str, Mapping[Part, Sequence[ObjectFiles]]]
"""The objects of each class by their parts."""


def find_objects(
    root: Path, layout: Layout | None, drawn: Literal["sketch", "edge"], late: Collection[str] = ()
) -> tuple[Layout, Tree, Classes]:
    """Return the objects of a root.

    Args:
        root: the folder.
        layout: of it; None for what it looks like.
        drawn: which of SketchyCOCO's drawings tests. Edges train.
        late: classes that do not train, whatever the part that their photographs are in.

    Raises:
        UserError: when there are none, or a photograph has no drawing where its layout has one.
    """
    if layout == "sketchycoco" or (layout is None and (root / "Object" / "GT").is_dir()):
        tree = find_tree(root / "Object" / "GT")
        named = _called_by_things(tree)
        classes = {name: _sketchycoco(root / "Object", parts, drawn, name not in late) for name, parts in named.items()}
        return "sketchycoco", tree, classes
    tree = find_tree(root)
    if layout == "edgegan" or (layout is None and _is_beside(tree)):
        return "edgegan", tree, _objects(tree, beside=True)
    return "photographs", tree, _objects(tree, beside=False)


def _objects(tree: Tree, *, beside: bool) -> Classes:
    return {
        name: {part: [ObjectFiles(path, beside=beside) for path in files] for part, files in parts.items()}
        for name, parts in tree.domains.items()
    }


def _is_beside(tree: Tree) -> bool:
    """Return whether a tree is EdgeGAN's: classes are numbers, and most images are twice as wide as high."""
    if not all(name.isdecimal() for name in tree.domains):
        return False
    every = [path for parts in tree.domains.values() for files in parts.values() for path in files]
    sizes: list[tuple[int, int]] = []
    for path in evenly_chosen(every, LOOKED_AT):
        with suppress(UserError):  # told later, with all that cannot be read
            sizes.append(header(path).size)
    return 2 * sum(width == 2 * height for width, height in sizes) > len(sizes)


def _sketchycoco(
    objects: Path, parts: Mapping[Part, Sequence[Path]], drawn: Literal["sketch", "edge"], trains: bool
) -> dict[Part, list[ObjectFiles]]:
    """Return the objects of a class, which may train, with their edges where these train and else as `drawn` says."""
    folders = {part: "Edge" if (trains and part == "train") or drawn == "edge" else "Sketch" for part in parts}
    return {part: [_with_drawing(objects, folders[part], photo) for photo in parts[part]] for part in parts}


def _with_drawing(objects: Path, folder: str, photo: Path) -> ObjectFiles:
    """Return a photograph with the drawing that lies where it does, in another folder, or should lie there."""
    place = objects / folder / photo.relative_to(objects / "GT").with_suffix("")
    expected = place.with_name(f"{place.name}.png")
    paths = [place.with_name(place.name + photo.suffix), expected, place.with_name(f"{place.name}.jpg")]
    return ObjectFiles(photo, next((path for path in paths if path.is_file()), expected))


def _called_by_things(tree: Tree) -> dict[str, Mapping[Part, Sequence[Path]]]:
    """Return the photographs of SketchyCOCO's classes by the names of what they show."""
    named: dict[str, Mapping[Part, Sequence[Path]]] = {}
    for name, parts in tree.domains.items():
        thing = THINGS.get(name, name)
        if thing in named:
            what = f"the folder {name!r} has the class {thing!r}, and another one is called so"
            raise UserError(what, where=tree.root, hint="put their images together")
        named[thing] = parts
    return named


class Objects:
    """Reads photographs of objects and their drawings at one size, and keeps what it has read.

    Args:
        size: (height, width) of the images.
        cache: keeps them in memory.
        inverted: whether drawings by hand in images are white on black.
    """

    def __init__(self, size: Size, cache: MemoryCache, *, inverted: bool) -> None:
        self.size, self.cache, self.inverted = size, cache, inverted

    @property
    def reading(self) -> str:
        """Return what decides, beside the files, how images turn out."""
        return f"sketches {READING} {self.size} {self.inverted}"

    def photo(self, pair: ObjectFiles) -> np.ndarray:
        """Return the photograph, on white where it is cut out: (H, W, 3) uint8."""

        def read() -> np.ndarray:
            image = read_photograph(pair.photo, on=WHITE)
            return fit_photo(image.crop(_half(image.size, pair.photo, 1)) if pair.beside else image, self.size)

        return self._kept("photo", pair, pair.photo, read)

    def edges(self, pair: ObjectFiles) -> np.ndarray:
        """Return the drawing that goes with the photograph: (H, W) uint8, black on white."""

        def read() -> np.ndarray:
            if pair.drawing is not None:
                return read_drawing(Drawing(pair.drawing), self.size, inverted=self.inverted)
            if not pair.beside:
                return xdog(self.photo(pair))
            image = read_photograph(pair.photo, on=WHITE)
            half = image.crop(_half(image.size, pair.photo, 0))
            return fitted_drawing(half.convert("L"), self.size, pair.photo)

        return self._kept("edges", pair, pair.drawing or pair.photo, read)

    def drawing(self, drawing: Drawing) -> np.ndarray:
        """Return a drawing by hand: (H, W) uint8, black on white."""
        return self.cache.get(drawing, lambda: read_drawing(drawing, self.size, inverted=self.inverted))

    def _kept(self, what: str, pair: ObjectFiles, path: Path, read: Callable[[], np.ndarray]) -> np.ndarray:
        how = (what, self.reading, pair.beside, pair.drawing is not None)
        return self.cache.get((what, pair), lambda: cached(path, how, read))


def _half(size: tuple[int, int], path: Path, which: int) -> tuple[int, int, int, int]:
    """Return the left (0) or right (1) half of an image of a drawing and a photograph side by side."""
    check_beside(size, path)
    height = size[1]
    return which * height, 0, (which + 1) * height, height


def check_beside(size: tuple[int, int], path: Path) -> None:
    """Refuse an image that is no drawing and photograph of one size side by side.

    Args:
        size: (width, height).
        path: of the image.

    Raises:
        UserError: naming it.
    """
    width, height = size
    if width != 2 * height:
        what = f"the image is {width}x{height}, expected a drawing and a photograph side by side, twice as wide as high"
        raise UserError(what, where=path, hint="tasks.layout: photographs takes images as they are")
