"""CamVid as the SegNet tutorial has it: eleven merged classes as ids."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path, PureWindowsPath

from metai2i.data import by_stem
from metai2i_street.layouts.base import PHOTO, PNG, Layout, pair_up
from metai2i_street.readers import IdReader, Reader
from metai2i_street.records import PARTS, Listing, Part
from metai2i_street.tables import Tables


class SegNet(Layout):
    """`{train,val,test}/NAME.png`, `{train,val,test}annot/NAME.png` of ids 0..11; `train.txt` and such may list them.

    Its splits cut through sequences, so they are not used: scenes go by sequence.
    """

    name = "SegNet tutorial"
    dataset = "camvid"

    def signs(self, folder: Path) -> Mapping[str, bool]:
        """Return folders of photographs and of annotations."""
        return {
            "{train,val,test}/": any((folder / part).is_dir() for part in PARTS),
            "{train,val,test}annot/": any((folder / f"{part}annot").is_dir() for part in PARTS),
        }

    def pairs(self, folder: Path, parts: Collection[Part]) -> Listing:
        """Return all frames."""
        return Listing.join(
            pair_up(
                part,
                by_stem(folder / part, PHOTO),
                by_stem(folder / f"{part}annot", PNG),
                folder / f"{part}annot",
                listed=_listed(folder, part),
            )
            for part in PARTS
        )

    def reader(self, folder: Path, tables: Tables) -> Reader:
        """Return the reader of SegNet's ids."""
        return IdReader(tables.ids("segnet_ids"), tables.colours("camvid_colours"))


def _listed(folder: Path, part: Part) -> list[Path] | None:
    """Return the photographs in `train.txt`; its paths are another machine's, only the file names count."""
    path = folder / f"{part}.txt"
    if not path.is_file():
        return None
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    first = [line.split()[0] for line in lines if line.split()]
    return [folder / part / PureWindowsPath(entry).name for entry in first]  # which knows / and \\ alike
