"""The two layouts in which people have COCO with a class and an instance for each pixel."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metai2i import UserError, read_json
from metai2i.data import Legend, by_stem, check_same_size, fit_labels, read_label_map
from metai2i_street.instances import check_size, panoptic_segments, spade_ids
from metai2i_street.layouts.base import PHOTO, PNG, pair_up
from metai2i_street.records import Record

PARTS = ("train", "val")
LARGEST_JSON = 1 << 30
"""Bytes; the list of the training split has some hundred million."""
STUFF = 182
"""Classes of COCO-Stuff as SPADE has them: ids less 1, and 255 for what is unlabelled."""

Colour = tuple[int, int, int]
Maps = tuple[np.ndarray, np.ndarray]
"""Classes and ids, (H, W) int64 each."""


@dataclass(frozen=True)
class Categories:
    """The classes of a layout.

    Args:
        count: how many there are.
        names: of all, or none.
        palette: of all, or none.
    """

    count: int
    names: tuple[str, ...] = ()
    palette: tuple[Colour, ...] = ()


class SpadeStuff:
    """COCO-Stuff as SPADE has it: `{train,val}_img/`, `{train,val}_label/` and `{train,val}_inst/`, by name."""

    name = "COCO-Stuff as SPADE has it"
    looked_for = "{train,val}_img/, {train,val}_label/, {train,val}_inst/"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.categories = Categories(STUFF + 1)
        self._legend = Legend(ids={n: n for n in range(STUFF)} | {255: STUFF})

    @staticmethod
    def there(root: Path) -> bool:
        """Return whether a split's label maps and instance maps are there."""
        return any((root / f"{part}_label").is_dir() and (root / f"{part}_inst").is_dir() for part in PARTS)

    def records(self, part: str) -> Sequence[Record]:
        """Return the photographs of a split with their maps; the label map has the classes, `instances` the objects."""
        photos, labels, instances = (self.root / f"{part}_{kind}" for kind in ("img", "label", "inst"))
        listing = pair_up(None, by_stem(photos, PHOTO), by_stem(labels, PNG), labels)
        return [
            Record(r.name, None, r.photo, r.label, r.photos, r.labels, instances=instances / f"{r.name}.png")
            for r in listing.records
        ]

    def check(self, record: Record) -> None:
        """Refuse files that are not there or not of one size; reads headers only."""
        assert record.instances is not None
        if record.photo.exists() and not record.label.exists():
            raise UserError(f"the photograph has no label map; expected {record.label}", where=record.photo)
        check_same_size(record.photo, record.label)
        check_size(record.photo, record.instances)

    def maps(self, record: Record, size: tuple[int, int]) -> Maps:
        """Return Classes, the last of which is all that is unlabelled, and ids, each within its class."""
        assert record.instances is not None
        classes = read_label_map(record.label, self._legend).classes.astype(np.int64)
        return fit_labels(classes, size), fit_labels(spade_ids(record.instances, classes), size)

    def said(self, record: Record) -> object:
        """Return what a list says of a pair besides its files: nothing here."""
        return None


class Panoptic:
    """COCO panoptic: `annotations/panoptic_{train,val}2017.json`, the PNGs that these name, and `{train,val}2017/`.

    The PNGs lie in `annotations/panoptic_{train,val}2017/` or in `panoptic_{train,val}2017/`.
    """

    name = "COCO panoptic"
    looked_for = "annotations/panoptic_{train,val}2017.json, panoptic_{train,val}2017/, {train,val}2017/"

    def __init__(self, root: Path) -> None:
        self.root = root
        lists = {part: _list(root, part) for part in PARTS if _list(root, part).is_file()}
        self._lists = {part: read_segments(path) for part, path in lists.items()}
        first, *others = [(lists[part], listed.categories) for part, listed in self._lists.items()]
        for path, categories in others:
            if categories != first[1]:
                raise UserError(f"the categories are not those of {first[0]}", where=path)
        names = (*(name for name, _ in first[1].values()), "nothing")
        self.categories = Categories(len(names), names, (*(colour for _, colour in first[1].values()), (0, 0, 0)))

    @staticmethod
    def there(root: Path) -> bool:
        """Return whether a split's list is there."""
        return any(_list(root, part).is_file() for part in PARTS)

    def records(self, part: str) -> Sequence[Record]:
        """Return the photographs that the split's list has, each with its map of segments as the label map."""
        if part not in self._lists:
            return []
        inner, outer = self.root / "annotations" / f"panoptic_{part}2017", self.root / f"panoptic_{part}2017"
        folder = inner if inner.is_dir() else outer
        photos = self.root / f"{part}2017"
        return [
            Record(Path(photo).stem, None, photos / photo, folder / png)
            for png, photo in self._lists[part].photos.items()
        ]

    def check(self, record: Record) -> None:
        """Refuse files that are not there or not of one size; reads headers only."""
        if record.photo.exists() and not record.label.exists():
            raise UserError(f"the photograph has no map of segments; expected {record.label}", where=record.photo)
        check_same_size(record.photo, record.label)

    def maps(self, record: Record, size: tuple[int, int]) -> Maps:
        """Return Classes, the last of which is where no segment is, and ids, 0 there."""
        listed = self._listed(record)
        classes, ids = panoptic_segments(record.label, listed.segments[record.label.name], listed.path)
        return fit_labels(np.where(classes < 0, self.categories.count - 1, classes), size), fit_labels(ids, size)

    def said(self, record: Record) -> object:
        """Return what the list says of a map: the class of each segment."""
        return sorted(self._listed(record).segments[record.label.name].items())

    def _listed(self, record: Record) -> Segments:
        return next(listed for part, listed in self._lists.items() if record.photo.parent.name == f"{part}2017")


Layout = SpadeStuff | Panoptic
LAYOUTS: tuple[type[SpadeStuff] | type[Panoptic], ...] = (SpadeStuff, Panoptic)


def find_layout(root: Path) -> Layout:
    """Return the layout in which COCO lies in a folder.

    Raises:
        UserError: saying what was looked for.
    """
    for layout in LAYOUTS:
        if layout.there(root):
            return layout(root)
    lines = [f"  layout {layout.name!r}: {layout.looked_for}" for layout in LAYOUTS]
    missing = "" if root.is_dir() else ", the folder does not exist"
    raise UserError("\n".join([f"no COCO with instances here{missing}; looked for", *lines]), where=root)


def _list(root: Path, part: str) -> Path:
    return root / "annotations" / f"panoptic_{part}2017.json"


@dataclass(frozen=True)
class Segments:
    """What the list of a split of COCO panoptic says.

    Args:
        path: of the list.
        photos: the name of the photograph of each map.
        segments: for each map the class of each id, classes counted from 0 in the order of the categories' ids.
        categories: name and colour of each category, by its id in the list, in order.
    """

    path: Path
    photos: Mapping[str, str]
    segments: Mapping[str, Mapping[int, int]]
    categories: Mapping[int, tuple[str, Colour]]


def read_segments(path: Path) -> Segments:
    """Return what a list of segments says.

    Raises:
        UserError: naming the file and the entry, for what is not as COCO's format has it.
    """
    content = read_json(path, LARGEST_JSON)
    listed = _entries(content, "categories", path)
    categories: dict[int, tuple[str, Colour]] = {}
    for place, entry in sorted(listed, key=lambda each: _whole(each[1], "id", each[0], path)):
        number, colour = _whole(entry, "id", place, path), entry.get("color")
        if number in categories:
            raise UserError(f"{place}: the id {number} stands twice", where=path)
        if not (isinstance(colour, list) and len(colour) == 3 and all(_is_level(level) for level in colour)):
            raise UserError(f"{place}: expected `color` as three numbers of 0 to 255, got {colour!r}", where=path)
        categories[number] = (_name(entry, "name", place, path), (colour[0], colour[1], colour[2]))
    order = {number: at for at, number in enumerate(categories)}
    images = {
        _whole(entry, "id", place, path): _file(entry, place, path)
        for place, entry in _entries(content, "images", path)
    }
    photos, segments = {}, {}
    for place, entry in _entries(content, "annotations", path):
        image, png = _whole(entry, "image_id", place, path), _file(entry, place, path)
        if image not in images:
            raise UserError(f"{place}: no entry of `images` has the id {image}", where=path)
        if png in photos:
            raise UserError(f"{place}: the map {png!r} stands twice", where=path)
        photos[png] = images[image]
        segments[png] = _classes(entry, order, place, path)
    return Segments(path, photos, segments, categories)


def _classes(annotation: Mapping[str, Any], order: Mapping[int, int], place: str, path: Path) -> dict[int, int]:
    """Return the class of each segment of one map."""
    classes: dict[int, int] = {}
    for inner, entry in _entries(annotation, "segments_info", path, f"{place}."):
        number, category = _whole(entry, "id", inner, path), _whole(entry, "category_id", inner, path)
        if not 0 < number < 1 << 24:
            raise UserError(f"{inner}: the id {number} is no colour, expected 1 to {(1 << 24) - 1}", where=path)
        if category not in order:
            raise UserError(f"{inner}: there is no category {category}", where=path)
        if number in classes:
            raise UserError(f"{inner}: the id {number} stands twice", where=path)
        classes[number] = order[category]
    return classes


def _entries(content: Any, key: str, path: Path, outer: str = "") -> list[tuple[str, Mapping[str, Any]]]:
    """Return where each object of a list stands, and the object."""
    entries = content.get(key) if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise UserError(f"expected a list under {outer}{key}", where=path)
    for at, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise UserError(f"{outer}{key}[{at}]: expected an object, got {type(entry).__name__}", where=path)
    return [(f"{outer}{key}[{at}]", entry) for at, entry in enumerate(entries)]


def _whole(entry: Mapping[str, Any], key: str, place: str, path: Path) -> int:
    value = entry.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError(f"{place}: expected a whole number under {key!r}, got {value!r}", where=path)
    return value


def _name(entry: Mapping[str, Any], key: str, place: str, path: Path) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise UserError(f"{place}: expected a text under {key!r}, got {value!r}", where=path)
    return value


def _file(entry: Mapping[str, Any], place: str, path: Path) -> str:
    name = _name(entry, "file_name", place, path)
    if re.search(r"[/\\]|^\.", name):
        raise UserError(f"{place}: expected the name of a file in `file_name`, got {name!r}", where=path)
    return name


def _is_level(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255
