"""CelebAMask-HQ as it is downloaded, with or without the merged maps and lists of CoCosNet."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from metai2i import Field, Location, UserError, did_you_mean
from metai2i.data import (
    Size,
    by_stem,
    entries,
    fit_labels,
    header,
    listed_lines,
    read_label_map,
    same_aspect,
    size_in_words,
)
from metai2i_exemplars.layouts import PHOTOS, Kept, Layout, refuse_missing
from metai2i_exemplars.lists import Listed, splits_of
from metai2i_exemplars.parts import (
    BELOW_GLASSES,
    CLASSES,
    GLASSES,
    ORDER,
    PALETTE,
    merged,
    merged_legend,
    read_mask,
    refuse_other_numbering,
)
from metai2i_exemplars.records import Part, Record

IMAGES, MASKS, MERGED = "CelebA-HQ-img", "CelebAMask-HQ-mask-anno", "all_parts_except_glasses"
MAPPING, IDENTITIES = "CelebA-HQ-to-CelebA-mapping.txt", "identity_CelebA.txt"
IN_FOLDER = 2000
"""Numbers 0 to 1999 have their masks in the folder 0, and so on."""

log = logging.getLogger("metai2i")

Glasses = Literal["class", "apart"]


class CelebAMask(Layout):
    """`CelebA-HQ-img/N.jpg` with `CelebAMask-HQ-mask-anno/{N//2000}/NNNNN_PART.png`, or with the map of all parts but
    glasses in `CelebAMask-HQ-mask-anno/all_parts_except_glasses/NNNNN.png`.

    Args:
        folder: where it lies.
        glasses: one of 19 classes, which lies over skin and nose; or apart: a channel of their own, over all else.
    """

    name = "celebamask"
    title = "CelebAMask-HQ"
    folders: ClassVar[tuple[str, ...]] = ("celebamask-hq", "celebamaskhq", "celebahq", "celebamask")
    looked_for = f"{IMAGES}/N.jpg and {MASKS}/{{0,1,...}}/NNNNN_PART.png or {MASKS}/{MERGED}/NNNNN.png"

    def __init__(self, folder: Path, glasses: Glasses = "class") -> None:
        super().__init__(folder)
        self.glasses = glasses

    @staticmethod
    def there(folder: Path) -> bool:
        """Return whether photographs and masks are there."""
        return (folder / IMAGES).is_dir() and (folder / MASKS).is_dir()

    @property
    def field(self) -> Field:
        """Return 19 channels: one-hot, or, with the glasses apart, one-hot but for these."""
        apart = self.glasses == "apart"
        return Field("map" if apart else "onehot", len(CLASSES), CLASSES, PALETTE, sharp=apart)

    @property
    def reading(self) -> str:
        """Return the name, and where the glasses are."""
        return f"{self.name} {self.glasses}"

    def records(self) -> Mapping[Part, Sequence[Record]]:
        """Return the photographs that `train.txt` and `val.txt` list, or the last fifteenth for tests."""
        shots, people = by_stem(self.folder / IMAGES, PHOTOS), self._people()
        numbers = sorted((stem for stem in shots if stem.isdecimal()), key=int)
        splits = splits_of(self.folder, numbers, _number, lambda number: people.get(str(int(number)), number))
        records = {
            part: [self._record(each, shots, people.get(str(int(each.name)))) for each in listed]
            for part, listed in splits.items()
        }
        both = people_in_both(records)
        if both:
            log.warning("exemplars: people who train and test: %d, who are not unseen then; nobody does both without "
                        "train.txt and val.txt", both)  # fmt: skip
        return records

    def check(self, record: Record) -> None:
        """Refuse a photograph without masks, masks of unknown parts, and a map of another aspect than the photograph;
        of the masks only the first one's header is read."""
        stray = self._strays.get(int(record.name))
        if stray is not None:
            raise UserError(f"this mask belongs into {MASKS}/{int(record.name) // IN_FOLDER}/", where=stray)
        refuse_missing(record, "mask of any part")
        for path in record.maps:
            part = _part_of(path)
            if part is not None and part not in ORDER:
                raise UserError(f"there is no part {part!r}", where=path, hint=did_you_mean(part, ORDER))
        if all(_part_of(path) == "eye_g" for path in record.maps):
            raise UserError("this face has a mask of its glasses alone", where=record.maps[0])
        photo, mask = header(record.photo), header(record.maps[0], ("PNG", "BMP", "TIFF", "PPM"))
        if not same_aspect(photo.size, mask.size):
            raise UserError(
                f"the mask is {size_in_words(mask.size)}, its photograph {record.photo} {size_in_words(photo.size)} "
                "(width x height), which is of another aspect",
                where=record.maps[0],
            )

    def read(self, record: Record, size: Size) -> Kept:
        """Return (H, W) class ids, or (H, W, 2) of these and of the glasses, each pixel the nearest."""
        masks = {part: path for path in record.maps if (part := _part_of(path)) is not None}
        ids, remarks = self._merged(record.maps[0], masks)
        worn = read_mask(masks["eye_g"], (record.maps[0], ids)) if "eye_g" in masks else np.zeros(ids.shape, bool)
        if self.glasses == "class":
            return fit_labels(np.where(worn & np.isin(ids, BELOW_GLASSES), np.uint8(GLASSES), ids), size), remarks
        return fit_labels(np.stack([ids, worn.astype(np.uint8)], axis=-1), size), remarks

    def ids(self, kept: np.ndarray) -> np.ndarray:
        """Return the class ids, without glasses where these are apart."""
        return kept if self.glasses == "class" else kept[..., 0]

    def levels(self, kept: np.ndarray) -> np.ndarray:
        """Return 255 in the channel of each pixel's class, and in that of the glasses where they are worn."""
        levels = super().levels(kept)
        levels[GLASSES] = kept[..., 1] * np.uint8(255)
        return levels

    def _merged(self, first: Path, masks: Mapping[str, Path]) -> Kept:
        """Return (H, W) class ids of all parts but glasses: from the merged map, or from the masks.

        Args:
            first: the merged map, or a mask.
            masks: by part.
        """
        if _part_of(first) is not None:
            return merged({part: path for part, path in masks.items() if part != "eye_g"}), ()
        labels = read_label_map(first, merged_legend())
        seen = next((part for part in ("l_eye", "r_eye", "nose", "skin") if part in masks), None)
        if seen is not None:
            refuse_other_numbering(first, labels.classes, seen, masks[seen])
        return labels.classes, labels.remarks

    def _record(self, each: Listed, shots: Mapping[str, Sequence[Path]], person: str | None) -> Record:
        photos = shots.get(each.name, [self.folder / IMAGES / f"{each.name}.jpg"])
        padded, folder = each.name.zfill(5), str(int(each.name) // IN_FOLDER)
        whole = self.folder / MASKS / MERGED / f"{padded}.png"
        masks = self._masks.get(folder, {}).get(padded, ())
        maps = (
            (whole, *masks)
            if whole.exists()
            else tuple(masks) or (self.folder / MASKS / folder / f"{padded}_skin.png",)
        )
        return Record(each.name, person, photos[0], maps, tuple(photos), each.where)

    @cached_property
    def _masks(self) -> Mapping[str, Mapping[str, Sequence[Path]]]:
        """Return the masks in each numbered folder, by the number of the face as it stands in their names."""
        by_folder: dict[str, dict[str, list[Path]]] = {}
        for folder in entries(self.folder / MASKS):
            if folder.name.isdecimal():
                of_face = by_folder.setdefault(folder.name, defaultdict(list))
                for path in entries(folder):
                    face, _, part = path.stem.partition("_")
                    if path.suffix.lower() == ".png" and part and face.isdecimal():
                        of_face[face].append(path)
        return {
            folder: {face: sorted(paths, key=_place) for face, paths in of_face.items()}
            for folder, of_face in by_folder.items()
        }

    @cached_property
    def _strays(self) -> Mapping[int, Path]:
        """Return a mask in another folder than that of its number, by this."""
        return {
            int(face): paths[0]
            for folder, of_face in self._masks.items()
            for face, paths in of_face.items()
            if int(face) // IN_FOLDER != int(folder)
        }

    def _people(self) -> Mapping[str, str]:
        """Return who is on which photograph, where CelebA's list of people is there.

        Raises:
            UserError: naming file and line, for what is no line of the two lists.
        """
        mapping, identities = self.folder / MAPPING, self.folder / IDENTITIES
        if not (mapping.exists() and identities.exists()):
            return {}
        people = {row[0]: row[1] for row in _columns(identities, 2, "NNNNNN.jpg PERSON")}
        return {row[0]: people.get(row[2], row[2]) for row in _columns(mapping, 3, "N N NNNNNN.jpg", heading="idx")}


def _columns(path: Path, count: int, expected: str, heading: str | None = None) -> Iterator[tuple[str, ...]]:
    """Yield the columns of each line of a list, but for that with the headings."""
    for where, line in listed_lines(path, f"a list of lines {expected}"):
        columns = tuple(line.split())
        if columns[0] == heading:
            continue
        if len(columns) != count:
            raise UserError(f"expected {expected}, got {line[:80]!r}", where=where)
        yield columns


def people_in_both(records: Mapping[Part, Sequence[Record]]) -> int:
    """Return how many people are in several splits."""
    people = Counter(scene for listed in records.values() for scene in {record.scene for record in listed} if scene)
    return sum(count > 1 for count in people.values())


def _number(line: str, where: Location) -> str:
    stem = line.removesuffix(".jpg")
    if not (stem.isascii() and stem.isdecimal()):
        raise UserError(f"expected the number of a photograph, such as 29922, got {line[:80]!r}", where=where)
    return str(int(stem))


def _part_of(path: Path) -> str | None:
    """Return the part that a mask is of; None for a merged map."""
    return path.stem.split("_", 1)[1] if "_" in path.stem else None


def _place(path: Path) -> tuple[int, str]:
    """Return what puts masks in the order of their parts, unknown ones at the end."""
    part = _part_of(path) or ""
    return (ORDER.index(part) if part in ORDER else len(ORDER)), part
