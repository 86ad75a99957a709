"""Cityscapes as its authors give it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal

from metai2i import UserError
from metai2i.data import is_broken_link, subfolders
from metai2i_street.layouts.base import PHOTO, PNG, Layout, ending, first_folder, pair_up
from metai2i_street.readers import IdReader, Reader
from metai2i_street.records import Listing, Part, Record
from metai2i_street.tables import Tables

Kind = Literal["labelIds", "labelTrainIds"]


class OfficialCityscapes(Layout):
    """`leftImg8bit/{train,val}/CITY/NAME_leftImg8bit.png` and `gtFine/{train,val}/CITY/NAME_gtFine_labelIds.png`.

    Where there are no `labelIds`, `labelTrainIds` are read. Instances are in `NAME_gtFine_instanceIds.png` beside them.
    The folders of the archives (`leftImg8bit_trainvaltest/`, `gtFine_trainvaltest/`) may be left around them.
    """

    name = "official Cityscapes"
    dataset = "cityscapes"

    def signs(self, folder: Path) -> Mapping[str, bool]:
        """Return the two trees."""
        photos, labels = _folders(folder)
        return {
            "leftImg8bit/{train,val}/": any((photos / part).is_dir() for part in ("train", "val")),
            "gtFine/{train,val}/": any((labels / part).is_dir() for part in ("train", "val")),
        }

    def pairs(self, folder: Path, parts: Collection[Part]) -> Listing:
        """Return those of the wanted splits, by city and name."""
        photos, labels = _folders(folder)
        kind = _kind(labels)
        wanted: tuple[Part, ...] = ("train", "val")
        return Listing.join(
            pair_up(
                part,
                ending(city, "_leftImg8bit", PHOTO),
                ending(labels / part / city.name, f"_gtFine_{kind}", PNG, keep=True),
                labels / part / city.name,
                forms=(f"{{}}_gtFine_{kind}",),
                place=city.name,
            )
            for part in wanted
            if part in parts
            for city in _cities(photos / part)
        )

    def reader(self, folder: Path, tables: Tables) -> Reader:
        """Return the 34 label ids, or the train ids."""
        kind = _kind(_folders(folder)[1])
        table = tables.ids("cityscapes_ids" if kind == "labelIds" else "train_ids")
        return IdReader(table, tables.colours("cityscapes_colours"))

    def instances(self, folder: Path, record: Record) -> Path | None:
        """Return the map beside the label map."""
        return record.label.with_name(f"{record.name}_gtFine_instanceIds.png")


def _folders(folder: Path) -> tuple[Path, Path]:
    photos = first_folder(folder / "leftImg8bit", folder / "leftImg8bit_trainvaltest" / "leftImg8bit")
    labels = first_folder(folder / "gtFine", folder / "gtFine_trainvaltest" / "gtFine")
    return photos, labels


def _cities(folder: Path) -> list[Path]:
    cities = subfolders(folder)
    for city in cities:
        if is_broken_link(city):
            raise UserError("this link leads nowhere, expected the folder of a city", where=city)
    return cities


def _kind(labels: Path) -> Kind:
    """Return which maps are there, judged by the first city that has any."""
    for part in ("train", "val"):
        for city in _cities(labels / part):
            if ending(city, "_gtFine_labelIds", PNG):
                return "labelIds"
            if ending(city, "_gtFine_labelTrainIds", PNG):
                return "labelTrainIds"
    return "labelIds"
