"""Drawn faces: points with closed forms, folders of people, and videos."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def arc(centre: tuple[float, float], radii: tuple[float, float], start: float, end: float, count: int) -> np.ndarray:
    """Points of an ellipse from one angle to another, in degrees, clockwise in the image from the right."""
    angles = np.radians(np.linspace(start, end, count))
    return np.stack([centre[0] + radii[0] * np.cos(angles), centre[1] + radii[1] * np.sin(angles)], 1)


def face_at(x: float, y: float, unit: float, mouth: float = 0.2) -> np.ndarray:
    """68 points of a face that looks ahead, symmetric about `x`.

    Args:
        x: of the middle.
        y: of the ends of the jaw line, which is half an ellipse of radii `unit` and 1.25 `unit`.
        unit: the distance between the eyes.
        mouth: the distance between the lips, in units.
    """
    jaw = arc((0, 0), (1, 1.25), 180, 0, 17)
    left_brow = arc((-0.5, -0.15), (0.3, 0.1), 180, 360, 5)
    bridge = np.stack([np.zeros(4), np.linspace(0, 0.45, 4)], 1)
    base = np.array([(-0.2, 0.55), (-0.1, 0.6), (0, 0.62), (0.1, 0.6), (0.2, 0.55)])
    left_eye = np.array([(-0.65, 0), (-0.55, -0.07), (-0.45, -0.07), (-0.35, 0), (-0.45, 0.07), (-0.55, 0.07)])
    right_eye = (left_eye * [-1, 1])[[3, 2, 1, 0, 5, 4]]
    lips = arc((0, 0.85), (0.35, 0.2), 180, 540, 13)[:12]
    inner = arc((0, 0.85), (0.2, mouth / 2), 180, 540, 9)[:8]
    parts = [jaw, left_brow, (left_brow * [-1, 1])[::-1], bridge, base, left_eye, right_eye, lips, inner]
    return np.concatenate(parts) * unit + [x, y]


@pytest.fixture
def face() -> Callable[..., np.ndarray]:
    return face_at


def label_map(side: int = 16) -> np.ndarray:
    """Every region in stripes."""
    return np.repeat(np.arange(side) * 7 // side, side).reshape(side, side).astype(np.uint8)


@pytest.fixture
def save_pair() -> Callable[..., None]:
    def save(folder: Path, name: str, *, seed: int = 0, side: int = 16, ids: np.ndarray | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        photo = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(photo).save(folder / f"{name}.jpg", quality=95)
        Image.fromarray(label_map(side) if ids is None else ids).save(folder / f"{name}.png")

    return save


@pytest.fixture
def people(save_pair) -> Callable[..., Path]:
    """A folder of people of four pairs with a `splits.json`."""

    def make(root: Path, splits: Mapping[str, Sequence[str]], pairs: int = 4) -> Path:
        for number, name in enumerate(name for names in splits.values() for name in names):
            for pair in range(pairs):  # no photograph is that of somebody in another folder
                seed = int.from_bytes(root.name.encode(), "big") % 10**6 * 10**4 + 100 * number + pair
                save_pair(root / name, f"{pair:02d}", seed=seed)
        (root / "splits.json").write_text(json.dumps({split: list(names) for split, names in splits.items()}))
        return root

    return make


@pytest.fixture
def encode() -> Callable[..., None]:
    """Writes frames (H, W, 3) uint8 as a video that is nearly free of loss."""
    av = pytest.importorskip("av")

    def write(path: Path, frames: Sequence[np.ndarray], turned: int = 0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mjpeg", rate=25, options={"qmin": "1", "qmax": "2"})
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = "yuvj444p"
            if turned:
                stream.set_display_rotation(turned)
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())

    return write
