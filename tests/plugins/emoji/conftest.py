"""Small packages of emoji."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CODES = [f"{0x1F400 + n:x}" for n in range(60)]
CATEGORIES = ("Animals & Nature", "Objects")
KINDS = ("animal-mammal", "sky & weather")
FOLDERS = {
    "twemoji": "emoji-datasource-twitter/img/twitter/64",
    "noto": "emoji-datasource-google/img/google/64",
    "fluent": "fluent-emoji-3d/assets",
    "openmoji": "openmoji/color/svg",
    "lines": "openmoji/black/svg",
}
LEVELS = {"twemoji": 0, "noto": 50, "fluent": 100, "openmoji": 150, "lines": 200}
"""The green of each hand; the red is the concept."""


def write_package(root: Path, hand: str, codes: Sequence[str] = CODES) -> None:
    """Writes the package of a hand: a coloured rectangle for each concept, a quarter of it transparent."""
    folder = root / FOLDERS[hand]
    folder.mkdir(parents=True)
    package = root / FOLDERS[hand].split("/")[0]
    (package / "package.json").write_text("{}")
    listed = [
        {"unified": code.upper(), "category": CATEGORIES[n % 2], "subcategory": KINDS[n % 2]}
        for n, code in enumerate(codes)
    ]
    (package / "emoji.json").write_text(json.dumps([*listed, {"unified": "1F1E6-1F1E8", "category": "Flags"}]))
    for n, code in enumerate(codes):
        red, green = 4 * n, LEVELS[hand]
        if hand in ("openmoji", "lines"):
            colour = "black" if hand == "lines" else f"rgb({red},{green},0)"
            shape = f'<rect x="18" y="0" width="{20 + n % 30}" height="72" fill="{colour}"/>'
            svg = f'<svg viewBox="0 0 72 72" xmlns="http://www.w3.org/2000/svg">{shape}</svg>'
            (folder / f"{code.upper()}.svg").write_text(svg)
            continue
        pixels = np.zeros((16, 16, 4), np.uint8)
        pixels[:, 4:] = red, green, 0, 255
        ending = "webp" if hand == "fluent" else "png"
        Image.fromarray(pixels).save(folder / f"{code}.{ending}", lossless=True)


@pytest.fixture
def package() -> Callable[..., None]:
    return write_package


@pytest.fixture
def root(tmp_path) -> Path:
    """Packages of three hands with 60 concepts."""
    for hand in ("twemoji", "noto", "fluent"):
        write_package(tmp_path / "emoji", hand)
    return tmp_path / "emoji"
