"""Cityscapes as pix2pixHD takes it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from metai2i.data import by_stem
from metai2i_street.layouts.base import PHOTO, PNG, Layout, ending, first_folder, pair_up
from metai2i_street.readers import IdReader, Reader
from metai2i_street.records import Listing, Part, Record
from metai2i_street.tables import Tables

_LABELS, _INSTANCES = "_gtFine_labelIds", "_gtFine_instanceIds"


class Pix2pixHD(Layout):
    """`{train,val}_img/NAME_leftImg8bit.png`, `{train,val}_label/NAME_gtFine_labelIds.png`, and, with instances,
    `{train,val}_inst/NAME_gtFine_instanceIds.png`.

    pix2pixHD calls the second split `test`; where it has photographs, it counts as val.
    """

    name = "pix2pixHD folders"
    dataset = "cityscapes"

    def signs(self, folder: Path) -> Mapping[str, bool]:
        """Return the folders of the training split or of the other one."""
        parts = ("train", "val", "test")
        return {
            "{train,val}_img/": any((folder / f"{part}_img").is_dir() for part in parts),
            "{train,val}_label/": any((folder / f"{part}_label").is_dir() for part in parts),
        }

    def pairs(self, folder: Path, parts: Collection[Part]) -> Listing:
        """Return those of the wanted splits, by name."""
        wanted: tuple[Part, ...] = ("train", "val")
        return Listing.join(
            pair_up(
                part,
                ending(_folder(folder, part, "img"), "_leftImg8bit", PHOTO),
                by_stem(_folder(folder, part, "label"), PNG),
                _folder(folder, part, "label"),
                forms=(f"{{}}{_LABELS}",),
            )
            for part in wanted
            if part in parts
        )

    def reader(self, folder: Path, tables: Tables) -> Reader:
        """Return the 34 label ids."""
        return IdReader(tables.ids("cityscapes_ids"), tables.colours("cityscapes_colours"))

    def instances(self, folder: Path, record: Record) -> Path | None:
        """Return the map in `{train,val}_inst/`."""
        split = record.label.parent.name.removesuffix("_label")
        return folder / f"{split}_inst" / f"{record.name}{_INSTANCES}.png"


def _folder(folder: Path, part: Part, kind: str) -> Path:
    """Return where photographs or maps of a split are; `test` stands in for a val that is not there."""
    return first_folder(folder / f"{part}_{kind}", *([folder / f"test_{kind}"] if part == "val" else []))
