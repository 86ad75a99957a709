"""DeepFashion's in-shop photographs with the poses that CoCosNet's authors found in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np
from PIL import Image

from metai2i import Field, Location, UserError
from metai2i.data import Size, entries, fit_labels, fit_photo, header
from metai2i_exemplars.layouts import PHOTOS, Kept, Layout, refuse_missing
from metai2i_exemplars.lists import Listed, splits_of
from metai2i_exemplars.pose import CHANNELS, drawn, read_pose
from metai2i_exemplars.records import Part, Record

IMAGES, POSES = "img", "pose"


class DeepFashion(Layout):
    """`img/{WOMEN,MEN}/CATEGORY/id_NNNNNNNN/NN_V_view.jpg` with `pose/.../NN_V_view_{candidate,subset}.txt`.

    `structure` has 20 channels: the pose in colours, and how far each of 17 limbs is. A scene is an outfit: the views
    of one garment (`id_NNNNNNNN`) in one colour (`NN`), which one person wears.
    """

    name = "deepfashion"
    title = "DeepFashion"
    folders: ClassVar[tuple[str, ...]] = ("deepfashion", "in-shop", "inshop")
    looked_for = f"{IMAGES}/{{WOMEN,MEN}}/ and {POSES}/{{WOMEN,MEN}}/"
    on_disk = False

    @staticmethod
    def there(folder: Path) -> bool:
        """Return whether photographs and poses are there."""
        return (folder / IMAGES).is_dir() and (folder / POSES).is_dir()

    @property
    def field(self) -> Field:
        """Return 20 continuous channels."""
        return Field("map", len(CHANNELS), CHANNELS)

    def records(self) -> Mapping[Part, Sequence[Record]]:
        """Return the photographs that `train.txt` and `val.txt` list, or the last fifteenth of outfits for tests."""
        shots: dict[str, list[Path]] = {}
        for path in sorted(_files(self.folder / IMAGES)):
            if path.suffix.lower() in PHOTOS:
                shots.setdefault(path.relative_to(self.folder).with_suffix("").as_posix(), []).append(path)
        splits = splits_of(self.folder, list(shots), _photograph, outfit)
        return {part: [self._record(each, shots) for each in listed] for part, listed in splits.items()}

    def check(self, record: Record) -> None:
        """Refuse a photograph without a pose; reads its header only."""
        refuse_missing(record, "pose")
        if record.photo.exists() and not record.maps[1].exists():
            raise UserError(f"the photograph has no pose; expected {record.maps[1]}", where=record.photo)
        header(record.photo)

    def read(self, record: Record, size: Size) -> Kept:
        """Return (H, W, 20) uint8: the pose in colours, each pixel the nearest, and smoothly resized distances."""
        natural = header(record.photo).size
        colours, distances = drawn(read_pose(record.maps[0], record.maps[1], natural), natural)
        channels = [fit_labels(colours, size)]
        if natural == (size[1], size[0]):
            channels.append(distances)
        else:  # three at a time, as photographs are resized
            padded = np.concatenate([distances, distances[..., :1]], axis=-1)
            parts = [fit_photo(Image.fromarray(np.ascontiguousarray(padded[..., at : at + 3])), size)
                     for at in range(0, padded.shape[-1], 3)]  # fmt: skip
            channels.append(np.concatenate(parts, axis=-1)[..., : distances.shape[-1]])
        return np.concatenate(channels, axis=-1), ()

    def ids(self, kept: np.ndarray) -> np.ndarray:
        """Refuse: a pose has no classes."""
        raise UserError("exemplars: poses are no label maps, so scenes are not alike by their classes",
                        hint="take the retriever random, or none")  # fmt: skip

    def levels(self, kept: np.ndarray) -> np.ndarray:
        """Return the channels first."""
        return kept.transpose(2, 0, 1)

    def _record(self, each: Listed, shots: Mapping[str, Sequence[Path]]) -> Record:
        photos = shots.get(each.name, [self.folder / f"{each.name}.jpg"])
        poses = self.folder / POSES / PurePosixPath(each.name).relative_to(IMAGES)
        maps = tuple(poses.with_name(f"{poses.name}_{kind}.txt") for kind in ("candidate", "subset"))
        return Record(each.name, outfit(each.name), photos[0], maps, tuple(photos), each.where)


def outfit(name: str) -> str:
    """Return which garment in which colour a photograph is of.

    >>> outfit("img/WOMEN/Dresses/id_00000244/02_1_front")
    'WOMEN/Dresses/id_00000244/02'
    """
    path = PurePosixPath(name).relative_to(IMAGES)
    return (path.parent / path.name.split("_", 1)[0]).as_posix()


def _photograph(line: str, where: Location) -> str:
    path = PurePosixPath(line.replace("\\", "/"))
    if path.parts[:1] != (IMAGES,) or len(path.parts) < 3 or ".." in path.parts:
        expected = r"such as img\WOMEN\Dresses\id_00000244\02_1_front.jpg"
        raise UserError(f"expected the path of a photograph, {expected}, got {line[:80]!r}", where=where)
    return path.with_suffix("").as_posix()


def _files(folder: Path) -> list[Path]:
    """Return all files below a folder."""
    return [each for path in entries(folder) for each in (_files(path) if path.is_dir() else [path])]
