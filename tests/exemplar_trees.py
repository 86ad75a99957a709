"""Small drawn trees in every layout of the source `exemplars`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from metai2i_exemplars.exemplars import Exemplars
from metai2i_exemplars.parts import CLASSES
from metai2i_exemplars.pose import POINTS
from PIL import Image

SIDE = 32


def save(pixels: np.ndarray, path: Path, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def shot(seed: int, side: int = SIDE) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def ade_map() -> np.ndarray:
    """Sky (3) above, grass (10) below, a flag (150) between them, unlabelled at the right."""
    ids = np.full((SIDE, SIDE), 10, np.uint8)
    ids[: SIDE // 2], ids[10:20, 4:12], ids[:, -4:] = 3, 150, 0
    return ids


def ade(root: Path, *, beside: bool = False, per_part: int = 4) -> Path:
    """ADE20K, with the label maps beside the photographs or in `annotations/`."""
    for part, seeds in (("training", range(per_part)), ("validation", range(100, 100 + per_part))):
        for n, seed in enumerate(seeds, 1):
            stem = f"ADE_{'train' if part == 'training' else 'val'}_{n:08d}"
            folder = root / part if beside else root / "images" / part
            save(shot(seed), folder / f"{stem}.jpg", quality=95)
            save(ade_map(), (folder if beside else root / "annotations" / part) / f"{stem}.png")
    return root


Masks = dict[str, tuple[slice, slice]]
PARTS: Masks = {
    "skin": (slice(4, 28), slice(6, 26)),
    "hair": (slice(0, 10), slice(4, 28)),
    "l_eye": (slice(12, 15), slice(18, 22)),
    "r_eye": (slice(12, 15), slice(10, 14)),
    "nose": (slice(14, 20), slice(15, 17)),
    "eye_g": (slice(11, 18), slice(8, 24)),
}
"""Hair lies over the skin, and the glasses over skin and nose, but not over the eyes."""


def face_map(*, glasses: bool) -> np.ndarray:
    """What these parts make, written out by hand."""
    ids = np.zeros((SIDE, SIDE), np.uint8)
    order = ["skin", "nose", *(["eye_g"] if glasses else []), "l_eye", "r_eye", "hair"]
    for part in order:
        ids[PARTS[part]] = CLASSES.index(part)
    return ids


def mask(part: str, side: int = SIDE) -> np.ndarray:
    """White where a part is, as the data's files have it."""
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[PARTS[part]] = 255
    return pixels


def celeba(root: Path, *, whole: bool = False, numbers: tuple[int, ...] = (3, 5, 2001, 4002)) -> Path:
    """CelebAMask-HQ; the first face wears no glasses. The last two numbers are in val.txt."""
    anno = root / "CelebAMask-HQ-mask-anno"
    for at, number in enumerate(numbers):
        save(shot(number, 2 * SIDE), root / "CelebA-HQ-img" / f"{number}.jpg", quality=95)
        for part in PARTS:
            if part != "eye_g" or at:
                save(mask(part), anno / str(number // 2000) / f"{number:05d}_{part}.png")
        if whole:
            save(face_map(glasses=False), anno / "all_parts_except_glasses" / f"{number:05d}.png")
    (root / "val.txt").write_text("".join(f"{number}\n" for number in numbers[2:]))
    return root


POSE: dict[str, tuple[float, float]] = {"nose": (16.0, 4.0), "neck": (16.9, 10.2), "r_hip": (12.0, 30.0)}
"""x and y of the only points that are seen."""
OUTFITS = {
    "WOMEN/Dresses/id_00000001": ("01_1_front", "01_2_side", "02_1_front"),
    "MEN/Denim/id_00000007": ("01_1_front", "01_7_additional"),
}


def write_pose(root: Path, name: str, points: dict[str, tuple[float, float]] = POSE) -> None:
    path = root / "pose" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{x:.18e} {y:.18e} 9.0e-01 {at:.18e}\n" for at, (x, y) in enumerate(points.values())]
    path.with_name(f"{path.name}_candidate.txt").write_text("".join(lines))
    order = list(points)
    numbers = [order.index(point) if point in points else -1 for point in POINTS]
    path.with_name(f"{path.name}_subset.txt").write_text(" ".join(f"{n:.18e}" for n in [*numbers, 20.0, len(points)]))


def fashion(root: Path) -> Path:
    """DeepFashion; the man's outfit tests."""
    for folder, shots in OUTFITS.items():
        for name in shots:
            save(shot(sum(map(ord, folder + name))), root / "img" / folder / f"{name}.jpg", quality=95)
            write_pose(root, f"{folder}/{name}")
    tests = [f"img/MEN/Denim/id_00000007/{name}.jpg" for name in OUTFITS["MEN/Denim/id_00000007"]]
    (root / "val.txt").write_text("\r\n".join(name.replace("/", "\\") for name in tests))
    return root


LAYOUTS: dict[str, Callable[[Path], Path]] = {"ade20k": ade, "celebamask": celeba, "deepfashion": fashion}


def source(root: Path, **options: Any) -> Exemplars:
    return Exemplars(**{"root": root, "size": (SIDE, SIDE), **options})
