"""Scenes of emoji in drawn landscapes, with sketches of objects and backgrounds: the work behind `metai2i data
emoji-scenes`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from metai2i_sketches import xdog
from PIL import Image

from metai2i import Randomness, Split, UserError, new_folder, write_text
from metai2i.data import fit_photo, read_photograph
from metai2i_emoji.concepts import Concept, concepts
from metai2i_emoji.drawing import WHITE, all_drawings, read_drawing
from metai2i_emoji.hands import Hand
from metai2i_emoji.landscape import landscape
from metai2i_emoji.sketches import KINDS

HANDS: tuple[Hand, ...] = ("twemoji", "noto", "fluent")
SHARES = 0.1, 0.3
"""Of concepts that validate, and that test: as in `emoji_sketches`, whose models so have not seen what tests here."""
DRAWN: tuple[Split, ...] = ("train", "test")
LARGEST, SMALLEST = 0.42, 0.28
"""Sides of objects, in parts of the scene's."""
MOST_OBJECTS = 3
BLACK = (0, 0, 0)
_TRIES = 40
_MARGIN = 2


@dataclass(frozen=True)
class Plan:
    """How many scenes are drawn, and how large.

    Args:
        train: scenes that train.
        test: scenes that test.
        side: of a scene, in pixels.
        seed: another one gives other scenes.
    """

    train: int = 240
    test: int = 60
    side: int = 128
    seed: int = 0


def draw_scenes(packages: Path, out: Path, plan: Plan) -> list[str]:
    """Write scenes as `sketch_scenes` reads them; return what to say of it.

    Objects are emoji, each by one hand. Sketches of those that train are their edges (XDoG); of those that test they
    are OpenMoji's line drawings of the same concept.

    Args:
        packages: the folder of the packages, as `emoji` has it.
        out: a folder that is empty or not there.
        plan: how many scenes.

    Raises:
        UserError: when packages are missing, or something is in the folder already.
    """
    with new_folder(out) as draft:
        _write_scenes(packages, draft, plan)
    return [f"{plan.train} scenes that train and {plan.test} that test in {out}"]


def _write_scenes(packages: Path, folder: Path, plan: Plan) -> None:
    """Write the scenes of both splits into a folder."""
    files = all_drawings(packages, (*HANDS, "lines"))
    usable = [
        each
        for each in concepts(packages)
        if each.kind in KINDS and all(each.code in by_code for by_code in files.values())
    ]
    for split, count in zip(DRAWN, (plan.train, plan.test), strict=True):
        some = [each for each in usable if each.split(*SHARES) == split]
        if not some:
            raise UserError(f"no concept of the kinds {', '.join(KINDS)} is for the split {split}", where=packages)
        for number in range(count):
            rng = np.random.default_rng(Randomness((plan.seed, "emoji scenes", split, number)).seed())
            _write_scene(folder / split, f"{number:04d}", some, files, rng, plan.side)


def _write_scene(
    folder: Path,
    name: str,
    known: Sequence[Concept],
    files: Mapping[Hand, Mapping[str, Path]],
    rng: np.random.Generator,
    side: int,
) -> None:
    """Write a scene: its photograph, its list, the sketch of its background, and images and sketches of its objects."""
    ground = landscape(rng, side)
    photo, entries = ground.photo.astype(np.float64), []
    for n, (left, top, length) in enumerate(_boxes(rng, side, ground.horizon)):
        concept = known[int(rng.integers(len(known)))]
        path = files[concept.hand(HANDS)][concept.code]
        image, on_black = (fit_photo(read_photograph(path, on=paper), (length, length)) for paper in (WHITE, BLACK))
        if folder.name == "test":
            drawn = read_drawing(files["lines"][concept.code], length)
            sketch = fit_photo(drawn, (length, length))
        else:
            sketch = np.repeat(xdog(image)[..., None], 3, 2)
        part = photo[top : top + length, left : left + length]
        part *= (image.astype(np.float64) - on_black) / 255  # what shows through
        part += on_black
        entry = {"class": concept.kind, "image": f"images/{name}_{n}.png", "sketch": f"sketches/{name}_{n}.png"}
        _save(folder / entry["image"], image)
        _save(folder / entry["sketch"], sketch)
        entries.append({**entry, "box": [left, top, length, length]})
    _save(folder / f"{name}.png", photo.clip(0, 255).round().astype(np.uint8))
    _save(folder / "backgrounds" / f"{name}.png", ground.sketch)
    listed = {"background": f"backgrounds/{name}.png", "objects": entries}
    write_text(folder / f"{name}.json", json.dumps(listed, indent=1))


def _boxes(rng: np.random.Generator, side: int, horizon: int) -> list[tuple[int, int, int]]:
    """Return places of objects that do not overlap: left, top and length of a side; they stand on the meadow."""
    boxes: list[tuple[int, int, int]] = []
    wanted = int(rng.integers(1, MOST_OBJECTS + 1))
    for _ in range(_TRIES):
        length = round(side * float(rng.uniform(SMALLEST, LARGEST)))
        left = int(rng.integers(_MARGIN, side - length - _MARGIN))
        foot = int(rng.integers(max(horizon + side // 8, length + _MARGIN), side - _MARGIN))
        box = left, foot - length, length
        if all(_apart(box, other) for other in boxes):
            boxes.append(box)
        if len(boxes) == wanted:
            break
    return boxes


def _apart(first: tuple[int, int, int], second: tuple[int, int, int]) -> bool:
    return any(a + first[2] <= b or b + second[2] <= a for a, b in zip(first[:2], second[:2], strict=True))


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
