"""Cityscapes as the pix2pix authors give it: photograph and coloured label map side by side."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from metai2i.data import by_stem
from metai2i_street.layouts.base import JPEG, PNG, Files, Layout
from metai2i_street.readers import Reader
from metai2i_street.records import Listing, Part, Record
from metai2i_street.side_by_side import SideBySide
from metai2i_street.tables import Tables


class Pix2pixPairs(Layout):
    """`{train,val}/N.jpg`, 512x256, photograph left, colours right."""

    name = "pix2pix pairs"
    dataset = "cityscapes"

    def signs(self, folder: Path) -> Mapping[str, bool]:
        """Return numbered JPEGs without maps beside them."""
        photos = {part: _numbered(folder / part) for part in ("train", "val")}
        alone = not any(name in photos[part] for part in photos for name in by_stem(folder / part, PNG))
        return {"{train,val}/N.jpg without a PNG of that name": any(photos.values()) and alone}

    def pairs(self, folder: Path, parts: Collection[Part]) -> Listing:
        """Return those of the wanted splits, in the order of their numbers; `train/123.jpg` is called `train_0123`."""
        wanted: tuple[Part, ...] = ("train", "val")
        return Listing(
            tuple(
                Record(f"{part}_{int(number):04d}", part, paths[0], paths[0], tuple(paths))
                for part in wanted
                if part in parts
                for number, paths in sorted(_numbered(folder / part).items(), key=lambda item: int(item[0]))
            )
        )

    def reader(self, folder: Path, tables: Tables) -> Reader:
        """Return the reader of colours out of JPEG."""
        return SideBySide(tables.colours("cityscapes_colours"))


def _numbered(folder: Path) -> Files:
    return {name: paths for name, paths in by_stem(folder, JPEG).items() if name.isdecimal()}
