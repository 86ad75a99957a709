"""What a layout says of a data set: which photograph goes with which label map."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

DatasetName = Literal["cityscapes", "camvid", "bdd100k"]
Part = Literal["train", "val", "test"]
"""A split as the data set itself names it."""

PARTS: tuple[Part, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Record:
    """One pair, as files.

    Args:
        name: unique within the data set, and the same in every layout where the layouts allow it.
        part: the data set's own split, or None where the layout has none.
        photo: the photograph; need not exist when a list names it.
        label: the label map, or where it should lie; the same file as `photo` for side-by-side pairs.
        photos: all photographs of this name; of several (`a.png` beside `a.jpg`) nobody knows which is meant.
        labels: all label maps of this name.
        place: what a data set says of where it was taken: a city.
        instances: the instance map, or where it should lie; None where instances are not asked for.
    """

    name: str
    part: Part | None
    photo: Path
    label: Path
    photos: tuple[Path, ...] = ()
    labels: tuple[Path, ...] = ()
    place: str | None = None
    instances: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the photograph, the label map and, where it is asked for, the instance map."""
        return (self.photo, self.label) if self.instances is None else (self.photo, self.label, self.instances)


@dataclass(frozen=True)
class Listing:
    """The pairs of a data set in a fixed order, and the files that belong to none.

    Args:
        records: the pairs.
        unpaired: label maps without a photograph, and photographs that the data set's list leaves out.
    """

    records: tuple[Record, ...] = ()
    unpaired: tuple[Path, ...] = ()

    @staticmethod
    def join(listings: Iterable[Listing]) -> Listing:
        """Return all of them, one after the other."""
        together = list(listings)
        return Listing(
            tuple(record for group in together for record in group.records),
            tuple(path for group in together for path in group.unpaired),
        )
