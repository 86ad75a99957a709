"""Folders of small drawn domains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SHADES = {"cat": (200, 120, 40), "dog": (40, 120, 200), "wild": (60, 180, 60), "horse": (150, 60, 150)}
"""The mean colour of each domain."""


def drawn(domain: str, seed: int, side: int = 16) -> np.ndarray:
    """A colour of the domain with noise, another one for each seed."""
    noise = np.random.default_rng((seed, *domain.encode())).integers(-20, 21, (side, side, 3))
    return (np.array(SHADES.get(domain, (128, 128, 128))) + noise).astype(np.uint8)


def write_domain(folder: Path, count: int, start: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(start, start + count):
        Image.fromarray(drawn(folder.name, n)).save(folder / f"{n:03}.png")


def write_tree(root: Path, parts: Mapping[str, Mapping[str, int]]) -> Path:
    """Writes a folder for each part and domain, of so many images, no two alike."""
    start = 0
    for part, domains in parts.items():
        for domain, count in domains.items():
            write_domain(root / part / domain, count, start)
            start += count
    return root


def write_afhq(root: Path) -> Path:
    """Writes three domains of 8 images to train on and 5 to test on."""
    return write_tree(root, {"train": {"cat": 8, "dog": 8, "wild": 8}, "val": {"cat": 5, "dog": 5, "wild": 5}})


def write_people(root: Path) -> Path:
    """Writes three people with six photographs of 16x16 in each part, their region maps, and landmarks: all in one
    corner, but for the tip of the nose, which is further right in each.
    """
    folders = [root / part / person for part in ("train", "test") for person in ("ann", "bob", "cy")]
    for number, folder in enumerate(folders):
        names = [f"{n:03}" for n in range(6 * number, 6 * number + 6)]
        write_domain(folder, 6, 6 * number)
        for name in names:
            Image.open(folder / f"{name}.png").save(folder / f"{name}.jpg")
        points = np.full((6, 68, 2), 5.0)
        points[:, 30] = [(n + 0.5, 12.5) for n in range(6)]
        np.savez(folder / "landmarks.npz", names=np.array(names), pts_crop=points)
    return root


@pytest.fixture
def people(tmp_path) -> Path:
    return write_people(tmp_path / "people")


@pytest.fixture
def tree(tmp_path) -> Callable[..., Path]:
    """Writes a root of parts and domains."""
    return lambda parts, name="root": write_tree(tmp_path / name, parts)


@pytest.fixture
def afhq(tmp_path) -> Path:
    return write_afhq(tmp_path / "root")


@pytest.fixture(scope="module")
def lasting(tmp_path_factory) -> Path:
    """The same, for all tests of a module, which leave it as it is."""
    return write_afhq(tmp_path_factory.mktemp("domains") / "root")
