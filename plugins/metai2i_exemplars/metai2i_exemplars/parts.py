"""CelebAMask-HQ's parts of a face: a black and white mask for each, merged into one label map."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from metai2i import UserError, counted
from metai2i.data import Legend, read_label_map, size_in_words

CLASSES = (
    "background", "skin", "hair", "l_brow", "r_brow", "l_eye", "r_eye", "l_ear", "r_ear", "nose", "u_lip", "mouth",
    "l_lip", "neck", "cloth", "hat", "eye_g", "ear_r", "neck_l",
)  # fmt: skip
"""By id. After the background, parts as the files call them: eye_g are glasses, ear_r earrings, neck_l a necklace."""
GLASSES = CLASSES.index("eye_g")
ORDER = (
    "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear", "mouth", "u_lip", "l_lip", "hair",
    "hat", "ear_r", "neck_l", "neck", "cloth",
)  # fmt: skip
"""In which parts are laid over each other where masks overlap, as the data's authors do it."""
BELOW_GLASSES = tuple(CLASSES.index(part) for part in ("background", *ORDER[: ORDER.index("eye_g")]))
"""What glasses hide."""
APART = (("l_eye", "r_eye"), ("l_brow", "r_brow"), ("l_ear", "r_ear"))
"""Parts of which none lies over the other."""
SPECKS = 0.02
"""Up to this share of the smaller of two parts may be in both: hands draw no better."""
PALETTE: tuple[tuple[int, int, int], ...] = (
    (0, 0, 0), (255, 205, 170), (110, 60, 20), (170, 110, 40), (150, 90, 70), (40, 110, 240), (60, 190, 240),
    (230, 150, 120), (210, 130, 150), (90, 200, 90), (220, 40, 60), (250, 240, 60), (180, 20, 90), (240, 180, 120),
    (100, 90, 170), (160, 60, 200), (130, 130, 130), (255, 120, 0), (0, 150, 110),
)  # fmt: skip


@cache
def merged_legend() -> Legend:
    """Return what the numbers in merged maps mean: all ids but that of glasses, which are a mask of their own."""
    hint = "merged maps have all parts except the glasses, in the order of CoCosNet: 1 skin, 2 hair, 3 l_brow, ..."
    return Legend((), {number: number for number in range(len(CLASSES)) if number != GLASSES}, hint=hint)


@cache
def mask_legend() -> Legend:
    """Return what a mask holds: black, and white where the part is."""
    white, black = (255, 255, 255), (0, 0, 0)
    return Legend(
        (), {0: 0, 255: 1}, {black: 0, white: 1}, hint="a mask of a part is black, and white where the part is"
    )


def read_mask(path: Path, like: tuple[Path, np.ndarray] | None = None) -> np.ndarray:
    """Return where a part is, (H, W) bool.

    Args:
        path: of a black and white image.
        like: another map of the same face, which must have the same size, and its path.

    Raises:
        UserError: naming the file, for other levels and for another size.
    """
    mask: np.ndarray = read_label_map(path, mask_legend()).classes.astype(bool)
    if like is not None and mask.shape != like[1].shape:
        size, other = (size_in_words((shape[1], shape[0])) for shape in (mask.shape, like[1].shape))
        raise UserError(
            f"the mask is {size}, and {like[0].name} of the same face {other} (width x height)",
            where=path,
            hint="all masks of a face have one size",
        )
    return mask


def merged(masks: Mapping[str, Path]) -> np.ndarray:
    """Return the label map that masks make, laid over each other in order, (H, W) uint8.

    Args:
        masks: by part, without glasses; at least one.

    Raises:
        UserError: naming the file, for what is no mask, for another size, and for two parts of one place of which none
            lies over the other.
    """
    parts: dict[str, np.ndarray] = {}
    first: tuple[Path, np.ndarray] | None = None
    for part in sorted(masks, key=ORDER.index):
        parts[part] = read_mask(masks[part], first)
        first = first or (masks[part], parts[part])
    assert first is not None
    refuse_shared_pixels(parts, masks)
    classes = np.zeros(first[1].shape, np.uint8)
    for part, mask in parts.items():
        classes[mask] = CLASSES.index(part)
    return classes


def refuse_shared_pixels(parts: Mapping[str, np.ndarray], masks: Mapping[str, Path]) -> None:
    """Refuse a left and a right part in one place; a few pixels may be in both.

    Raises:
        UserError: naming one of the files.
    """
    for first, second in APART:
        if first in parts and second in parts:
            both = int((parts[first] & parts[second]).sum())
            here, there = int(parts[second].sum()), int(parts[first].sum())
            if both > SPECKS * min(here, there):
                raise UserError(
                    f"{both:,} of {counted(here, 'pixel')} of {second} here are {first} in {masks[first].name}",
                    where=masks[second],
                    hint="none of the two lies over the other: is one file the copy of another?",
                )


def refuse_other_numbering(path: Path, classes: np.ndarray, part: str, mask: Path) -> None:
    """Refuse a merged map that has a part where its mask has it not: its ids stand for other parts.

    Args:
        path: of the merged map.
        classes: (H, W) of it.
        part: the one that is looked at.
        mask: its file.

    Raises:
        UserError: naming the merged map.
    """
    number = CLASSES.index(part)
    here = classes == number
    beyond = int((here & ~read_mask(mask, (path, classes))).sum())
    if beyond > SPECKS * here.sum():
        raise UserError(
            f"{beyond} of {int(here.sum())} pixels of id {number} ({part}) lie outside of {mask.name}",
            where=path,
            hint=f"ids are expected in this order: {', '.join(f'{n} {name}' for n, name in enumerate(CLASSES))}",
        )
