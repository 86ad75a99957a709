"""Photographs and label maps in plain folders: pairs to adapt to, and maps to make images of.

`metai2i.data.pairs_in_folders` says how pairs may lie. A map is a PNG of class ids (grey or palette), or of the data's
colours (RGB, or a palette of these colours in any order, as programs that make images smaller write them). Photograph
and map are resized until they cover the wanted size, and the middle is cut out.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.bad_files import as_one_error
from metai2i.data.drawings import read_drawn
from metai2i.data.folders import single_by_stem, subfolders
from metai2i.data.id_maps import read_ids
from metai2i.data.label_maps import legend_of, read_label_map
from metai2i.data.pairs_in_folders import LOOKED_FOR, MAP_ENDINGS, PairFiles, check_view, pairs_in
from metai2i.data.photographs import read_photograph
from metai2i.data.remarks import Remarks
from metai2i.errors import UserError, counted
from metai2i.field import Field
from metai2i.files import check_folder
from metai2i.tasks import TaskSpec

LOSSY_ENDINGS = (".jpg", ".jpeg", ".webp", ".avif", ".heic", ".heif")
IMAGE_ENDINGS = (*LOSSY_ENDINGS, ".png", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")
"""How files of images are called; what is in them decides whether they can be used."""


def find_pairs(folder: Path) -> list[PairFiles]:
    """Return the pairs of a folder, in the order of their names.

    Raises:
        UserError: when the folder is missing, when none of the known layouts fits, or when a photograph has no map or a
            map no photograph.
    """
    check_folder(folder, "expected photographs with their label maps")
    pairs, errors = pairs_in(folder)
    if errors:
        raise as_one_error(errors, LOOKED_FOR)
    return pairs


def find_maps(place: Path, endings: Sequence[str] = MAP_ENDINGS) -> list[Path]:
    """Return the maps of a folder, by name, or the one file that is named.

    Args:
        place: the folder, or the file.
        endings: of maps; those of photographs where maps are no label maps.

    Raises:
        UserError: when there are none.
    """
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise UserError("there is no such file or folder", where=place, hint=f"expected maps ({', '.join(endings)})")
    map_files = list(single_by_stem(place, endings).values())
    if not map_files:
        within = [name for name in ("maps", "structure") if (place / name).is_dir()]
        hint = f"did you mean {place / within[0]}?" if within else None
        raise UserError(f"no maps ({', '.join(endings)}) are in this folder", where=place, hint=hint)
    return map_files


def find_images(place: Path) -> list[Path]:
    """Return the photographs of a folder, by name, or the one file that is named.

    Raises:
        UserError: when there are none.
    """
    if place.is_file():
        return [place]
    check_folder(place, "expected photographs")
    photos = list(single_by_stem(place, IMAGE_ENDINGS).values())
    if not photos:
        within = None
        with suppress(UserError):  # a folder that is no better would be told of in this one's place
            within = next((each for each in subfolders(place) if single_by_stem(each, IMAGE_ENDINGS)), None)
        hint = None if within is None else f"did you mean {within}?"
        raise UserError(f"no photographs ({', '.join(IMAGE_ENDINGS)}) are in this folder", where=place, hint=hint)
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
    if known.drawn:
        return torch.from_numpy(read_drawn(path, size)).float().div(255).expand(known.channels, -1, -1).clone()
    image = read_photograph(path)
    pixels = np.asarray(_fitted(image, size, Image.Resampling.BILINEAR)).astype(np.float32) / 255
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


def _nearest(numbers: np.ndarray, size: tuple[int, int]) -> Tensor:
    """Return a map of numbers (H', W') at a size, each pixel from the nearest one: (H, W) int64."""
    picked = _fitted(Image.fromarray(numbers.astype(np.int32)), size, Image.Resampling.NEAREST)
    return torch.from_numpy(np.asarray(picked).astype(np.int64))


def _fitted(image: Image.Image, size: tuple[int, int], how: Image.Resampling) -> Image.Image:
    """Return an image resized until it covers a size (H, W), and cut to its middle."""
    return ImageOps.fit(image, (size[1], size[0]), method=how)
