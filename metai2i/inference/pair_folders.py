"""Photographs and label maps in plain folders: pairs to adapt to, and maps to make images of.

Pairs may lie in one of three ways::

    NAME.jpg   NAME.png               a photograph (.jpg, .jpeg) beside its map
    NAME.jpg   NAME_map.png           the same, photographs may be .png as well
    photos/NAME.jpg   maps/NAME.png   two folders

A map is a PNG of class ids (grey or palette), or of the data's colours (RGB, or a palette of these colours in any
order, as programs that make images smaller write them). Photograph and map are resized until they
cover the wanted size, and the middle is cut out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.decoding import MAPS, PHOTOGRAPHS, header, same_aspect, size_in_words, why_turned
from metai2i.data.folders import by_stem, refuse_twins
from metai2i.data.id_maps import read_ids
from metai2i.data.label_maps import legend_of, read_label_map
from metai2i.data.photographs import read_photograph
from metai2i.data.remarks import Remarks
from metai2i.errors import UserError, counted
from metai2i.field import Field
from metai2i.files import check_folder
from metai2i.tasks import TaskSpec

JPEG = (".jpg", ".jpeg")
PHOTOS = (*JPEG, ".png")
MAP = "_map"
"""The end of a map's name that lies beside its photograph under the same name."""

LOOKED_FOR = (
    "looked for NAME.jpg with NAME.png, for NAME.jpg or NAME.png with NAME_map.png, and for photos/NAME.jpg or "
    "photos/NAME.png with maps/NAME.png"
)


@dataclass(frozen=True)
class PairFiles:
    """The files of one pair."""

    name: str
    photo: Path
    map: Path


def find_pairs(folder: Path) -> list[PairFiles]:
    """Return the pairs of a folder, in the order of their names.

    Raises:
        UserError: when the folder is missing, when none of the known layouts fits, or when a photograph has no map or a
            map no photograph.
    """
    check_folder(folder, "expected photographs with their label maps")
    if (folder / "photos").is_dir() and (folder / "maps").is_dir():
        return _joined(
            single_by_stem(folder / "photos", PHOTOS), single_by_stem(folder / "maps", [".png"]), folder, "maps/{}.png"
        )
    pngs = single_by_stem(folder, [".png"])
    marked = {name.removesuffix(MAP): path for name, path in pngs.items() if name.endswith(MAP)}
    if marked:
        photos = {name: path for name, path in single_by_stem(folder, PHOTOS).items() if not name.endswith(MAP)}
        return _joined(photos, marked, folder, "{}" + MAP + ".png")
    photos = single_by_stem(folder, JPEG)
    if photos and pngs:
        return _joined(photos, pngs, folder, "{}.png")
    files = (
        f", only {counted(len(photos), '.jpg file')} and {counted(len(pngs), '.png file')}" if photos or pngs else ""
    )
    raise UserError(f"no pairs of a photograph and its label map are here{files}", where=folder, hint=LOOKED_FOR)


def find_maps(place: Path) -> list[Path]:
    """Return the label maps of a folder (its .png files, by name), or the one file that is named.

    Raises:
        UserError: when there are none.
    """
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise UserError("there is no such file or folder", where=place, hint="expected label maps (.png)")
    map_files = list(single_by_stem(place, [".png"]).values())
    if not map_files:
        within = [name for name in ("maps", "structure") if (place / name).is_dir()]
        hint = f"did you mean {place / within[0]}?" if within else None
        raise UserError("no label maps (.png) are in this folder", where=place, hint=hint)
    return map_files


def find_images(place: Path) -> list[Path]:
    """Return the photographs of a folder, by name, or the one file that is named.

    Raises:
        UserError: when there are none.
    """
    if place.is_file():
        return [place]
    check_folder(place, "expected photographs")
    photos = list(single_by_stem(place, PHOTOS).values())
    if not photos:
        raise UserError("no photographs (.jpg, .png) are in this folder", where=place)
    return photos


def read_pairs(pairs: Sequence[PairFiles], spec: TaskSpec, remarks: Remarks | None = None) -> Batch:
    """Return the pairs as `structure` (N, C, H, W) and `target` (N, 3, H, W) in [-1, 1].

    Raises:
        UserError: for a file that cannot be read, a class or colour that the data has not, or a photograph and a map
            that do not show the same view.
    """
    is_map = spec.field("structure").kind == "onehot"
    if is_map:
        check_classes(spec)
    for pair in pairs:
        check_view(pair.photo, pair.map, exact_formats=is_map)
    remarks = remarks or Remarks("support")
    return Batch(
        structure=torch.stack([read_field(pair.map, "structure", spec, remarks) for pair in pairs]),
        target=torch.stack([read_photo(pair.photo, spec.size) for pair in pairs]),
    )


def read_field(path: Path, name: str, spec: TaskSpec, remarks: Remarks | None = None) -> Tensor:
    """Return a field of one sample from an image: at the data's size, covered and cut to its middle.

    Args:
        path: of the image.
        name: of the field.
        spec: of the data that it is for.
        remarks: takes what its owner should know about a label map; the log when None.

    Raises:
        UserError: naming the file, when it cannot be read as what the field is.
    """
    known = spec.field(name)
    if known.kind == "photo":
        return read_photo(path, spec.size)
    if known.kind == "onehot":
        return read_map(path, TaskSpec(known.channels, spec.size, classes=known.names, palette=known.palette), remarks)
    if known.kind == "map":
        return _continuous(path, known, spec.size)
    return _nearest(read_ids(path), spec.size)


def _continuous(path: Path, known: Field, size: tuple[int, int]) -> Tensor:
    pixels = np.asarray(_fitted(read_photograph(path), size, Image.Resampling.BILINEAR)).astype(np.float32) / 255
    if known.channels == 1 and bool((pixels != pixels[..., :1]).any()):
        raise UserError("expected a map in grey, got colours", where=path)
    return torch.from_numpy(pixels[..., : known.channels].copy()).permute(2, 0, 1)


def read_photo(path: Path, size: tuple[int, int]) -> Tensor:
    """Return a photograph that covers `size` = (H, W), cut to its middle: (3, H, W) in [-1, 1].

    Raises:
        UserError: when it cannot be read.
    """
    pixels = np.asarray(_fitted(read_photograph(path), size, Image.Resampling.LANCZOS))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 127.5 - 1


def read_map(path: Path, spec: TaskSpec, remarks: Remarks | None = None) -> Tensor:
    """Return a label map at the data's size, each pixel from the one nearest to it: (C, H, W) float, one-hot.

    Args:
        path: of the map.
        spec: of the data that it is for.
        remarks: takes what its owner should know about it; the log when None.

    Raises:
        UserError: when it cannot be read, or has a class or colour that the data has not.
    """
    check_classes(spec)
    labels = read_label_map(path, legend_of(spec))
    (remarks or Remarks("label maps")).add(path, labels.remarks)
    classes = _nearest(labels.classes, spec.size)
    return torch.nn.functional.one_hot(classes, spec.structure_channels).permute(2, 0, 1).float()


def check_classes(spec: TaskSpec) -> None:
    """Refuse data whose structure is no label map.

    Raises:
        UserError: when there are fewer than two classes.
    """
    if spec.structure_channels < 2:
        raise UserError(
            f"the data's structure has {counted(spec.structure_channels, 'channel')}, expected label maps of two "
            "classes or more"
        )


def single_by_stem(folder: Path, endings: Sequence[str]) -> dict[str, Path]:
    """Return the files right in a folder by their names without ending.

    Raises:
        UserError: when two have one name but for the ending.
    """
    files = by_stem(folder, endings)
    for paths in files.values():
        refuse_twins(paths)
    return {name: paths[0] for name, paths in files.items()}


def _joined(photos: dict[str, Path], maps: dict[str, Path], folder: Path, expected: str) -> list[PairFiles]:
    for name, photo in photos.items():
        if name not in maps:
            where = folder / expected.format(name)
            raise UserError(f"this photograph has no label map, expected {where}", where=photo, hint=LOOKED_FOR)
    for name, path in maps.items():
        if name not in photos:
            raise UserError(f"this label map has no photograph called {name!r}", where=path, hint=LOOKED_FOR)
    if not photos:
        raise UserError("there are no pairs, expected at least one", where=folder, hint=LOOKED_FOR)
    return [PairFiles(name, photos[name], maps[name]) for name in sorted(photos)]


def _nearest(numbers: np.ndarray, size: tuple[int, int]) -> Tensor:
    """Return a map of numbers (H', W') at a size, each pixel from the nearest one: (H, W) int64."""
    picked = _fitted(Image.fromarray(numbers.astype(np.int32)), size, Image.Resampling.NEAREST)
    return torch.from_numpy(np.asarray(picked).astype(np.int64))


def _fitted(image: Image.Image, size: tuple[int, int], how: Image.Resampling) -> Image.Image:
    """Return an image resized until it covers a size (H, W), and cut to its middle."""
    return ImageOps.fit(image, (size[1], size[0]), method=how)


def check_view(photo: Path, path: Path, *, exact_formats: bool) -> None:
    """Refuse a photograph and a map that do not have one aspect, to within a pixel of the smaller of the two, when both
    are upright.

    Args:
        photo: the photograph.
        path: of the map.
        exact_formats: whether the map must be in a format that keeps every pixel as it was.

    Raises:
        UserError: naming the map.
    """
    shot, drawn = header(photo), header(path, MAPS if exact_formats else PHOTOGRAPHS)
    if not same_aspect(shot.size, drawn.size):
        raise UserError(
            f"the map is {size_in_words(drawn.size)}, its photograph {photo.name} {size_in_words(shot.size)} "
            "(width x height): they do not show the same view",
            where=path,
            hint=why_turned(shot, drawn, exact=False),
        )
