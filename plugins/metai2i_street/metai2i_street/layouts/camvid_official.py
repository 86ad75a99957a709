"""CamVid as its authors give it: 960x720 photographs, label maps of 32 colours."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from metai2i.data import by_stem
from metai2i_street.layouts.base import PHOTO, PNG, Layout, first_folder, pair_up
from metai2i_street.readers import ColourReader, Reader
from metai2i_street.records import Listing, Part
from metai2i_street.tables import Tables, label_colors

PHOTOS = ("701_StillsRaw_full", "StillsRaw_full")
LABELS = ("LabeledApproved_full", "LabeledApproved")


class OfficialCamVid(Layout):
    """`701_StillsRaw_full/NAME.png`, `LabeledApproved_full/NAME_L.png`; `label_colors.txt` may be there."""

    name = "official CamVid"
    dataset = "camvid"

    def signs(self, folder: Path) -> Mapping[str, bool]:
        """Return the two folders."""
        return {f"{wanted.name}/": wanted.is_dir() for wanted in _folders(folder)}

    def pairs(self, folder: Path, parts: Collection[Part]) -> Listing:
        """Return all frames."""
        photos, labels = _folders(folder)
        return pair_up(None, by_stem(photos, PHOTO), by_stem(labels, PNG), labels, forms=("{}_L", "{}"))

    def reader(self, folder: Path, tables: Tables) -> Reader:
        """Return the reader of colours by class name."""
        table = tables.colours("camvid_colours")
        for colours_file in (folder / "label_colors.txt", _folders(folder)[1] / "label_colors.txt"):
            if colours_file.is_file():
                table = table.recoloured(colours_file, label_colors(colours_file), tables.names("segnet_ids"))
                break
        return ColourReader(table)


def _folders(folder: Path) -> tuple[Path, Path]:
    return first_folder(*(folder / name for name in PHOTOS)), first_folder(*(folder / name for name in LABELS))
