"""BDD100K's 10,000 segmented images, in both releases."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar

from metai2i.data import by_stem
from metai2i_street.layouts.base import PHOTO, PNG, Layout, pair_up
from metai2i_street.readers import IdReader, Reader
from metai2i_street.records import Listing, Part
from metai2i_street.tables import Tables


class _Bdd100k(Layout):
    dataset = "bdd100k"
    photos: ClassVar[str]
    labels: ClassVar[str]
    form: ClassVar[str]

    def signs(self, folder: Path) -> Mapping[str, bool]:
        """Return the two trees."""
        return {
            f"{tree}/{{train,val}}/": any((folder / tree / part).is_dir() for part in ("train", "val"))
            for tree in (self.photos, self.labels)
        }

    def pairs(self, folder: Path, parts: Collection[Part]) -> Listing:
        """Return those of the wanted splits."""
        wanted: tuple[Part, ...] = ("train", "val")
        return Listing.join(
            pair_up(
                part,
                by_stem(folder / self.photos / part, PHOTO),
                by_stem(folder / self.labels / part, PNG),
                folder / self.labels / part,
                forms=(self.form,),
            )
            for part in wanted
            if part in parts
        )

    def reader(self, folder: Path, tables: Tables) -> Reader:
        """Train ids, 255 being other."""
        return IdReader(tables.ids("train_ids"), tables.colours("cityscapes_colours"))


class Bdd100kSeg(_Bdd100k):
    """The first release: `seg/images/{train,val}/ID.jpg` and `seg/labels/{train,val}/ID_train_id.png`."""

    name = "BDD100K seg"
    photos, labels, form = "seg/images", "seg/labels", "{}_train_id"


class Bdd100kImages(_Bdd100k):
    """The second: `images/10k/{train,val}/ID.jpg` and `labels/sem_seg/masks/{train,val}/ID.png`."""

    name = "BDD100K images/10k"
    photos, labels, form = "images/10k", "labels/sem_seg/masks", "{}"
