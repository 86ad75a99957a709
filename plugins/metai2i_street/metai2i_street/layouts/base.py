"""What a layout is, and what several share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from metai2i.data import by_stem
from metai2i_street.clips import Clip
from metai2i_street.readers import Reader
from metai2i_street.records import DatasetName, Listing, Part, Record
from metai2i_street.tables import Tables

PHOTO = (".png", ".jpg", ".jpeg")
JPEG = (".jpg", ".jpeg")
PNG = (".png",)


class Layout(ABC):
    """One way in which a data set lies in a folder."""

    name: ClassVar[str]
    """For people."""
    dataset: ClassVar[DatasetName]

    @abstractmethod
    def signs(self, folder: Path) -> Mapping[str, bool]:
        """Return what tells the layout, in words, and whether it is there. Must be quick; never raises."""

    def detect(self, folder: Path) -> bool:
        """Return whether the data set lies in `folder` in this layout."""
        return all(self.signs(folder).values())

    @abstractmethod
    def pairs(self, folder: Path, parts: Collection[Part]) -> Listing:
        """Return the pairs, in a fixed order: those of the wanted splits, or all where the layout's splits mean
        nothing.
        """

    @abstractmethod
    def reader(self, folder: Path, tables: Tables) -> Reader:
        """Return what reads them."""

    def instances(self, folder: Path, record: Record) -> Path | None:
        """Return where the instance map of a pair lies, or should, in Cityscapes' ids; None when there are none."""
        return None

    def clips(self, folder: Path) -> Sequence[Clip] | None:
        """Return the clips that the layout itself lists; None when they are to be cut from the frames' names."""
        return None


Files = Mapping[str, Sequence[Path]]
"""Files by their name without its ending: several where names differ in it alone."""


def pair_up(
    part: Part | None,
    photos: Files,
    labels: Files,
    expected: Path,
    *,
    forms: Sequence[str] = ("{}",),
    listed: Sequence[Path] | None = None,
    place: str | None = None,
) -> Listing:
    """Pair photographs with label maps by name.

    Args:
        part: their split.
        photos: photographs by name.
        labels: label maps by file name without its ending.
        expected: the folder in which a label map should lie.
        forms: how a label map may be called, "{}" being the photograph's name; the first is named when none is there.
        listed: the photographs that belong, where the data set has a list; the others are left out.
        place: where they were taken.
    """
    if listed is not None:
        wanted: Files = {path.stem: photos.get(path.stem, [path]) for path in listed}
        left_out = [path for name, paths in photos.items() if name not in wanted for path in paths]
    else:
        wanted, left_out = photos, []
    records, used = [], set()
    for name, of_photo in wanted.items():
        stems = [form.format(name) for form in forms]
        stem = next((stem for stem in stems if stem in labels), stems[0])
        used.add(stem)
        of_label = labels.get(stem, [expected / f"{stem}.png"])
        records.append(Record(name, part, of_photo[0], of_label[0], tuple(of_photo), tuple(of_label), place))
    in_photos = {form.format(name) for name in photos for form in forms}
    orphans = [path for stem, paths in labels.items() if stem not in used and stem not in in_photos for path in paths]
    return Listing(tuple(records), tuple(left_out + orphans))


def ending(folder: Path, suffix: str, endings: Sequence[str], keep: bool = False) -> Files:
    """Return the images in a folder whose names have a suffix before their endings, by name, which keeps it or not."""
    return {
        name if keep else name.removesuffix(suffix): paths
        for name, paths in by_stem(folder, endings).items()
        if name.endswith(suffix)
    }


def first_folder(*candidates: Path) -> Path:
    """Return the first that exists, or the first of all."""
    return next((folder for folder in candidates if folder.is_dir()), candidates[0])
