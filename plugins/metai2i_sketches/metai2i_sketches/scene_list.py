"""The list of a scene's objects: each with its class, its box, and its image or its sketch, put on white together."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metai2i import UserError, did_you_mean, read_json
from metai2i.data import check_drawing, header, json_place, read_photograph
from metai2i_sketches.compose import Box, Placed, check_box, composite
from metai2i_sketches.drawings import WHITE

MOST_PIXELS = 178_000_000
"""Of a scene, as of a photograph."""


@dataclass(frozen=True)
class ListedObject:
    """An object of a scene's list: its class, its box, and its image or its sketch on white or both."""

    name: str
    box: Box
    image: Path | None = None
    sketch: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the files that are there."""
        return tuple(path for path in (self.image, self.sketch) if path is not None)


class Filling(ABC):
    """What is put into the boxes of a scene."""

    key: str
    """Says what decides, beside the files of a scene, how it turns out."""

    @abstractmethod
    def check(self, listed: ListedObject, listing: Path) -> None:
        """Refuse an object that cannot be put in, by what costs little.

        Raises:
            UserError: naming the list.
        """

    @abstractmethod
    def images(self, objects: Sequence[ListedObject], listing: Path) -> list[Placed]:
        """Return the images of objects, each with its box.

        Raises:
            UserError: naming the file.
        """


class Images(Filling):
    """Images of objects, as they are in files."""

    key = "images"

    def check(self, listed: ListedObject, listing: Path) -> None:
        """Refuse an object without an image."""
        header(image_of(listed, listing))

    def images(self, objects: Sequence[ListedObject], listing: Path) -> list[Placed]:
        """Return what is in the files, on white."""
        paths = [image_of(each, listing) for each in objects]
        return [
            Placed(np.asarray(read_photograph(path, on=WHITE)), each.box, each.name)
            for path, each in zip(paths, objects, strict=True)
        ]


class Lines(Filling):
    """The sketches of objects, as they are."""

    key = "sketches"

    def check(self, listed: ListedObject, listing: Path) -> None:
        """Refuse an object without a sketch."""
        header(sketch_of(listed, listing))

    def images(self, objects: Sequence[ListedObject], listing: Path) -> list[Placed]:
        """Return what is in the files, on white."""
        placed = []
        for each in objects:
            path = sketch_of(each, listing)
            image = read_photograph(path, on=WHITE)
            check_drawing(np.asarray(image.convert("L")), path)
            placed.append(Placed(np.asarray(image), each.box, each.name))
        return placed


@dataclass(frozen=True)
class SceneList:
    """What a list says of a scene.

    Args:
        listing: the file.
        background: the sketch of what is behind the objects, on white; None for none.
        objects: in the order in which they are put in.
        size: (width, height) that the list says; None where it says none.
    """

    listing: Path
    background: Path | None = None
    objects: tuple[ListedObject, ...] = ()
    size: tuple[int, int] | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the list, the background, and all images and sketches of objects."""
        behind = () if self.background is None else (self.background,)
        images = [each.image for each in self.objects if each.image is not None]
        sketches = [each.sketch for each in self.objects if each.sketch is not None]
        return (self.listing, *behind, *images, *sketches)

    def check(self, size: tuple[int, int], filling: Filling) -> None:
        """Look at what costs little: that images are some, and whether boxes are within a scene of (width, height)."""
        if self.background is not None:
            header(self.background)
        for number, each in enumerate(self.objects):
            with _placed(self.listing, number):
                filling.check(each, self.listing)
                check_box(each.box, size, each.name, self.listing)

    def composite(self, size: tuple[int, int], filling: Filling) -> np.ndarray:
        """Return the objects on white, each in its box, with the background: (H, W, 3) uint8 for (width, height)."""
        scene = np.full((size[1], size[0], 3), 255, np.uint8)
        if self.background is not None:
            image = read_photograph(self.background, on=WHITE)
            check_drawing(np.asarray(image.convert("L")), self.background)
            scene = np.array(image if image.size == size else image.resize(size))
        return composite(scene, filling.images(self.objects, self.listing), self.listing)


def read_list(listing: Path) -> SceneList:
    """Return what a list says of a scene.

    Raises:
        UserError: naming it, when it is not as it should be.
    """
    content = read_json(listing)
    if not isinstance(content, dict) or not isinstance(content.get("objects"), list):
        raise UserError('expected {"objects": [...], "background": FILE}', where=listing)
    _refuse_unknown(content, ("objects", "background", "size"), "the list", listing)
    background, size = content.get("background"), content.get("size")
    if background is not None and not isinstance(background, str):
        raise UserError(f"expected the name of a file as the background, got {_short(background)}", where=listing)
    if size is not None and not (_whole(size, 2) and min(size) >= 1):
        raise UserError(f"expected [width, height] in pixels as the size, got {_short(size)}", where=listing)
    if size is not None and size[0] * size[1] > MOST_PIXELS:
        what = f"the size is {size[0]}x{size[1]} pixels, expected at most {MOST_PIXELS // 10**6} million of them"
        raise UserError(what, where=listing)
    if background is not None and size is not None:
        what = "it has a background and a size, expected one: a scene is as large as its background"
        raise UserError(what, where=listing)
    behind = None if background is None else listing.parent / background
    objects = []
    for number, entry in enumerate(content["objects"]):
        with _placed(listing, number):
            objects.append(_object(entry, listing, number))
    return SceneList(listing, behind, tuple(objects), None if size is None else (size[0], size[1]))


@contextmanager
def _placed(listing: Path, number: int) -> Iterator[None]:
    """Give what is told of an object of a list the place of that object."""
    try:
        yield
    except UserError as error:
        if error.where != listing:
            raise
        raise UserError(error.what, where=json_place(listing, "objects", number), hint=error.hint) from None


def _refuse_unknown(
    entry: Mapping[str, Any], known: Sequence[str], whose: str, listing: Path, *inside: str | int
) -> None:
    """Refuse keys that mean nothing.

    Args:
        inside: the keys in the list under which the entry stands.

    Raises:
        UserError: naming the first, with the nearest that means something.
    """
    unknown = [key for key in entry if key not in known]
    if unknown:
        what = f"{whose} has the unknown key {unknown[0]!r}"
        raise UserError(what, where=json_place(listing, *inside, unknown[0]), hint=did_you_mean(unknown[0], known))


def _object(entry: Any, listing: Path, number: int) -> ListedObject:
    if isinstance(entry, dict):
        keys = ("class", "image", "sketch", "box")
        _refuse_unknown(entry, keys, f"the object {_short(entry)}", listing, "objects", number)
    image, sketch, box = (entry.get(key) if isinstance(entry, dict) else None for key in ("image", "sketch", "box"))
    given = [path for path in (image, sketch) if path is not None]
    sides: list[int] = box if isinstance(box, list) else []
    if not given or not all(isinstance(path, str) for path in given) or not _whole(sides, 4):
        expected = '{"class": NAME, "image": FILE, "sketch": FILE, "box": [left, top, width, height]}'
        what = f"expected {expected}, with one of the files or both, in whole pixels, got {_short(entry)}"
        raise UserError(what, where=listing)
    name = entry.get("class", Path(given[0]).stem)
    files = (None if path is None else listing.parent / path for path in (image, sketch))
    left, top, width, height = sides
    return ListedObject(str(name), (left, top, width, height), *files)


def image_of(listed: ListedObject, listing: Path) -> Path:
    """Return the image of an object.

    Raises:
        UserError: when the list names none.
    """
    if listed.image is None:
        hint = "tasks.model, or --objects, makes images of sketches; tasks.fill: sketches takes these"
        raise UserError(f"{listed.name!r} has a sketch and no image", where=listing, hint=hint)
    return listed.image


def sketch_of(listed: ListedObject, listing: Path) -> Path:
    """Return the sketch of an object.

    Raises:
        UserError: when the list names none.
    """
    if listed.sketch is None:
        raise UserError(f"{listed.name!r} has an image and no sketch", where=listing)
    return listed.sketch


def _whole(value: Any, count: int) -> bool:
    """Return whether a value is a list of so many whole numbers."""
    rightly = isinstance(value, list) and len(value) == count
    return rightly and all(isinstance(each, int) and not isinstance(each, bool) for each in value)


def _short(value: Any) -> str:
    return json.dumps(value)[:80]
