"""Folders of pairs that the tests make."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SPLITS = {"train": ["a", "b", "c", "d"], "test": ["x", "y"]}


@pytest.fixture
def folder(tmp_path):
    """Writes four pairs of 16x16 for each scene, `00.jpg` beside `00.png` and so on, of three classes, no two alike."""

    def folder(splits: Mapping[str, Sequence[str]] = SPLITS, classes: str = "sky\nroad\ncar\n") -> Path:
        draw = np.random.default_rng(0)
        root = tmp_path / "mine"
        for split, scenes in splits.items():
            for scene in scenes:
                (root / split / scene).mkdir(parents=True)
                for n in range(4):
                    photo = draw.integers(0, 256, (16, 16, 3))
                    ids = np.kron(draw.integers(0, 3, (4, 4)), np.ones((4, 4)))
                    Image.fromarray(photo.astype(np.uint8)).save(root / split / scene / f"{n:02}.jpg", quality=95)
                    Image.fromarray(ids.astype(np.uint8)).save(root / split / scene / f"{n:02}.png")
        if classes:
            (root / "classes.txt").write_text(classes)
        return root

    return folder
