"""Instance maps: from the formats in which people have them to one id for each pixel, within its class.

The files are read by the framework's reader of label maps, so that what is no map (a JPEG, a damaged or transparent
image) is refused as it is there. An id never spans two classes: where a format lets it, it is refused, or the class
becomes a part of the id.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from metai2i import UserError
from metai2i.data import Legend, header, kind_of_pixels, read_label_map, size_in_words
from metai2i_street.labels import CLASSES
from metai2i_street.tables import UNKNOWN, IdTable

FORMATS = ("PNG", "BMP", "TIFF", "PPM")
"""That keep each pixel."""
WIDE = ("I;16", "I;16B", "I;16L", "I;16N", "I")
"""What an opened image of 16-bit grey is called."""
COUNTED = 1000
"""Cityscapes has an instance number n of the class with label l as 1000 l + n, and what is not counted as l."""
_NUMBERS = range(1 << 16)
_HINT = "expected are label ids below 256, and 1000 times a label id and a number"


@cache
def _label_legend() -> Legend:
    """Return the label of each id of Cityscapes."""
    return Legend(ids={n: n // COUNTED if n >= COUNTED else n for n in _NUMBERS if n >= COUNTED or n < 256}, hint=_HINT)


@cache
def _number_legend() -> Legend:
    """Return the number of each id within its label, from 1; 0 for what is not counted."""
    return Legend(ids={n: n % COUNTED + 1 if n >= COUNTED else 0 for n in _NUMBERS if n >= COUNTED or n < 256})


def check_size(photo: Path, instances: Path) -> None:
    """Refuse an instance map that is not there, is no map, or has not the size of its photograph; reads headers only.

    Raises:
        UserError: naming the file.
    """
    if photo.exists() and not instances.exists():
        raise UserError(f"the photograph has no instance map; expected {instances}", where=photo)
    shot, drawn = header(photo), header(instances, FORMATS)
    if shot.size != drawn.size:
        raise UserError(
            f"the instance map is {size_in_words(drawn.size)}, its photograph {photo} {size_in_words(shot.size)} "
            "(width x height)",
            where=instances,
        )


def cityscapes_ids(path: Path, classes: np.ndarray, labels: IdTable) -> np.ndarray:
    """Return the ids of a `gtFine_instanceIds` file as they stand in it, (H, W) int64.

    Args:
        path: 16-bit grey.
        classes: (H, W) common ids of the label map beside it.
        labels: what the labels of Cityscapes are in common ids.

    Raises:
        UserError: naming the file, when it has not 16 bits, has ids that Cityscapes has not, or says another class of a
            pixel than the label map does.
    """
    of_label = read_label_map(path, _label_legend()).classes.astype(np.int64)
    mode = header(path, FORMATS).mode
    if mode not in WIDE:
        raise UserError(
            f"expected instance ids in grey of 16 bits, got {kind_of_pixels(mode)}: no ids such as 26001 fit in",
            where=path,
            hint="take the official gtFine_instanceIds.png, and write copies of it in 16 bits",
        )
    number = read_label_map(path, _number_legend()).classes.astype(np.int64)
    ids = np.where(number > 0, of_label * COUNTED + number - 1, of_label)
    meant = labels.lookup[of_label]
    _refuse_other_classes(path, ids, meant, classes)
    return ids


def _refuse_other_classes(path: Path, ids: np.ndarray, meant: np.ndarray, classes: np.ndarray) -> None:
    """Refuse ids whose class is not that of the label map.

    Args:
        path: of the instance map.
        ids: (H, W).
        meant: (H, W) their common ids, `UNKNOWN` for labels that there are not.
        classes: (H, W) common ids of the label map.
    """
    wrong = meant != classes
    if not wrong.any():
        return
    y, x = np.argwhere(wrong)[0]
    says = "a label that there is not" if meant[y, x] == UNKNOWN else CLASSES[meant[y, x]]
    share = 100 * wrong.mean()
    raise UserError(
        f"the instance ids do not refine the classes: {int(wrong.sum())} pixels ({share:.2g} %) are of another class "
        f"in the label map, such as id {ids[y, x]} ({says}) on {CLASSES[classes[y, x]]} in column {x}, row {y}",
        where=path,
        hint="instance map and label map must be of one photograph and of one version of the annotations",
    )


def spade_ids(path: Path, classes: np.ndarray) -> np.ndarray:
    """Return ids made of the numbers of an instance map of COCO-Stuff as SPADE has it, (H, W) int64: 256 c + number.

    These maps have the class wherever there is no object, and else the objects numbered 0, 1, 2: so a number may mean
    an object as well as a class, and an object may reach over several classes. With the class c in the id, neither
    does any harm.

    Args:
        path: 8-bit grey.
        classes: (H, W) classes of the label map beside it.

    Raises:
        UserError: naming the file, when it has more than 8 bits or cannot be read.
    """
    numbers = read_label_map(path, Legend(ids={n: n for n in range(256)}, hint="expected are numbers of 8 bits"))
    ids: np.ndarray = classes.astype(np.int64) * 256 + numbers.classes
    return ids


def panoptic_segments(path: Path, segments: Mapping[int, int], listed: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the class of each pixel of a panoptic map of COCO, (H, W) int64, -1 where nothing is, and its id, 0 there.

    Args:
        path: RGB, of which each colour is an id: R + 256 G + 65536 B, 0 where nothing is.
        segments: the class of each id that the file beside it lists for this image.
        listed: that file, for messages.

    Raises:
        UserError: naming the map, for ids that are not listed, or when it is no map of colours.
    """
    ids = np.array([0, *sorted(segments)], np.int64)
    names = ["nothing", *(f"segment {number}" for number in ids[1:])]
    colours = {(int(n) & 255, int(n) >> 8 & 255, int(n) >> 16): at for at, n in enumerate(ids)}
    hint = f"a colour is the id R + 256 G + 65536 B of a segment, and {listed} lists {len(segments)} for this image"
    at = read_label_map(path, Legend(names, colours=colours, hint=hint)).classes
    classes = np.array([-1, *(segments[int(number)] for number in ids[1:])], np.int64)
    return classes[at], ids[at]


def packed(ids: np.ndarray) -> np.ndarray:
    """Return ids (H, W) below 2^32 as (H, W, 4) uint8, as decoded images are kept."""
    return ids.astype("<u4")[..., None].view(np.uint8)


def unpacked(kept: np.ndarray) -> np.ndarray:
    """Return the ids (H, W) int64 of what `packed` made."""
    return np.ascontiguousarray(kept).view("<u4")[..., 0].astype(np.int64)
