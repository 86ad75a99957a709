"""ADE20K's scene parsing benchmark, as it is downloaded, and as SPADE and CoCosNet arrange it."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

from metai2i import Field, UserError
from metai2i.data import Legend, Size, by_stem, check_same_size, fit_labels, listed_lines, read_label_map
from metai2i_exemplars.layouts import Kept, Layout, refuse_missing
from metai2i_exemplars.records import Part, Record

FOLDERS: dict[Part, str] = {"train": "training", "test": "validation"}
CATEGORIES = "sceneCategories.txt"


class Ade20k(Layout):
    """`images/{training,validation}/NAME.jpg` with `annotations/{training,validation}/NAME.png`, or the annotations
    beside the photographs, as CoCosNet wants them.

    Label maps hold 0 for what is unlabelled, and 1 to 150. A scene is what `sceneCategories.txt` says.
    """

    name = "ade20k"
    title = "ADE20K"
    folders: ClassVar[tuple[str, ...]] = ("ade20k", "adechallengedata2016", "ade", "images")
    looked_for = "{training,validation}/ADE_*.jpg, in images/ or here, and ADE_*.png beside them or in annotations/"

    @staticmethod
    def there(folder: Path) -> bool:
        """Return whether a split's photographs are there."""
        return any(_photos(folder, part).is_dir() for part in FOLDERS)

    @property
    def field(self) -> Field:
        """Return one-hot channels for what is unlabelled and for 150 classes."""
        return Field("onehot", len(classes()), classes(), palette())

    def records(self) -> Mapping[Part, Sequence[Record]]:
        """Return the photographs of `training/` and of `validation/`, by name."""
        categories = self._categories()
        return {part: self._records(part, categories) for part in FOLDERS}

    def check(self, record: Record) -> None:
        """Refuse files that are not there or not of one size; reads headers only."""
        if len(record.maps) > 1:
            both = " and ".join(map(str, record.maps))
            raise UserError(f"the photograph has two label maps, {both}", where=record.photo, hint="keep one of them")
        refuse_missing(record, "label map")
        check_same_size(record.photo, record.maps[0])

    def read(self, record: Record, size: Size) -> Kept:
        """Return (H, W) class ids, each pixel the nearest."""
        labels = read_label_map(record.maps[0], legend())
        return fit_labels(labels.classes, size), labels.remarks

    def _records(self, part: Part, categories: Mapping[str, str]) -> list[Record]:
        photos = _photos(self.folder, part)
        apart = next((path for path in _annotations(photos, part) if path.is_dir()), photos)
        places = [by_stem(folder, (".png",)) for folder in dict.fromkeys((photos, apart))]
        return [
            Record(
                stem,
                categories.get(stem),
                paths[0],
                tuple(path for maps in places for path in maps.get(stem, ())) or (apart / f"{stem}.png",),
                tuple(paths),
            )
            for stem, paths in by_stem(photos, (".jpg", ".jpeg")).items()
        ]

    def _categories(self) -> dict[str, str]:
        """Return the category of each photograph; none where the file is not there.

        Raises:
            UserError: naming file and line, for what is no line of it.
        """
        path = next(
            (each for each in (self.folder / CATEGORIES, self.folder.parent / CATEGORIES) if each.exists()), None
        )
        categories: dict[str, str] = {}
        for where, line in listed_lines(path, "the list of scene categories") if path is not None else ():
            stem, *rest = line.split()
            if len(rest) != 1:
                raise UserError(f"expected NAME CATEGORY, got {line[:80]!r}", where=where)
            if categories.setdefault(stem, rest[0]) != rest[0]:
                raise UserError(f"{stem!r} was {categories[stem]!r} in an earlier line", where=where)
        return categories


@cache
def classes() -> tuple[str, ...]:
    """Return the names of the 151 ids of label maps, `unlabelled` first."""
    with (files("metai2i_exemplars") / "data" / "ade20k_classes.csv").open(encoding="utf-8") as file:
        return tuple(row["name"] for row in csv.DictReader(file))


@cache
def palette() -> tuple[tuple[int, int, int], ...]:
    """Return a colour of its own for each id, black for 0: the bits of the id, dealt out to red, green and blue."""
    return tuple(_colour(number) for number in range(len(classes())))


@cache
def legend() -> Legend:
    """Return what the numbers in label maps mean; colours mean nothing, for the data have none."""
    hint = "0 is unlabelled and 1 to 150 are the classes, as in the official annotations; 255 is in shifted copies only"
    return Legend((), {number: number for number in range(len(classes()))}, hint=hint)


def _colour(number: int) -> tuple[int, int, int]:
    levels = [0, 0, 0]
    for bit in range(8):
        levels[bit % 3] |= (number >> bit & 1) << (7 - bit // 3)
    return levels[0], levels[1], levels[2]


def _photos(folder: Path, part: Part) -> Path:
    """Return where the photographs of a split are: in `images/`, or in the folder itself."""
    inner = folder / "images" / FOLDERS[part]
    return inner if inner.is_dir() else folder / FOLDERS[part]


def _annotations(photos: Path, part: Part) -> list[Path]:
    """Return where the label maps of a split may be, apart from its photographs."""
    return [photos.parent / "annotations" / FOLDERS[part], photos.parent.parent / "annotations" / FOLDERS[part]]
