"""CamVid with coloured label maps in splits, as several segmentation suites have it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from metai2i.data import by_stem
from metai2i_street.layouts.base import PHOTO, PNG, Layout, pair_up
from metai2i_street.readers import ColourReader, Reader
from metai2i_street.records import PARTS, Listing, Part
from metai2i_street.tables import Tables, class_dict


class ColourLabels(Layout):
    """`{train,val,test}/NAME.png`, `{train,val,test}_labels/NAME_L.png`; colours by `class_dict.csv` if it is there."""

    name = "colour labels"
    dataset = "camvid"

    def signs(self, folder: Path) -> Mapping[str, bool]:
        """Return folders of photographs and of label maps."""
        return {
            "{train,val,test}/": any((folder / part).is_dir() for part in PARTS),
            "{train,val,test}_labels/": any((folder / f"{part}_labels").is_dir() for part in PARTS),
        }

    def pairs(self, folder: Path, parts: Collection[Part]) -> Listing:
        """Return all frames."""
        return Listing.join(
            pair_up(
                part,
                by_stem(folder / part, PHOTO),
                by_stem(folder / f"{part}_labels", PNG),
                folder / f"{part}_labels",
                forms=("{}_L", "{}"),
            )
            for part in PARTS
        )

    def reader(self, folder: Path, tables: Tables) -> Reader:
        """Return the reader of colours by class name."""
        table = tables.colours("camvid_colours")
        colours_file = folder / "class_dict.csv"
        if colours_file.is_file():
            table = table.recoloured(colours_file, class_dict(colours_file), tables.names("segnet_ids"))
        return ColourReader(table)
