"""Metrics of faces: how well the parts that tell a person's expression come out, and where a landmark predictor sees
them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from metai2i import Batch, Metric, TaskSpec, UserError, extra_command
from metai2i.data import to_uint8

DLIB, WEIGHTS = "dlib", "face_recognition_models"
SIDE = 256
"""Pixels: smaller photographs are enlarged to this, as the predictor was trained on larger faces."""
OUTER_CORNERS = (36, 45)
"""The outer corners of both eyes, among the 68 points."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels from the upper left corner."""


class FacePartsL1(Metric):
    """Mean absolute difference in [-1, 1] inside the eyes, the lips and the inner mouth of the label map.

    These parts are small and move, so the mean over a whole image hardly sees them. Queries whose map has none of
    them are left out.
    """

    label = "parts L1 ↓"
    higher_is_better = False

    def __init__(self, *, spec: TaskSpec) -> None:
        self.parts = channels_of(spec, ("eyes", "lips", "inner-mouth"), "face_parts_l1")

    def __call__(self, images: Tensor, query: Batch) -> Tensor:
        """Return (B,) float64."""
        inside = query["structure"][:, self.parts].sum(1).clamp(max=1).double()
        off = (to_uint8(images).double() - to_uint8(query["target"]).double()).abs().mean(1) / 127.5
        return (off * inside).sum((1, 2)) / inside.sum((1, 2))  # 0 / 0 is NaN


class FaceLandmarks(Metric):
    """Normalised mean error of landmarks: those of the image against those of the query photograph.

    Both are found by dlib's predictor of 68 points (Kazemi and Sullivan, 2014). The error is the mean distance of the
    points, divided by the distance of the outer eye corners of the photograph.

    No face is detected: in both, the predictor is told the box of the map's face, from its eyebrows to its chin, with
    which it is as exact as with the boxes of dlib's detector. So no query is lost where an image is too bad for the
    detector; an image without any face scores as a mean face in that box does. Images of less than 256 pixels are
    enlarged first. Queries whose map has no face or no eyebrows are left out.
    """

    label = "NME ↓"
    higher_is_better = False
    digits = 4

    def __init__(self, *, spec: TaskSpec) -> None:
        self.face, self.brows = channels_of(spec, ("face", "eyebrows"), "face_landmarks")
        predictor()  # that it is missing is told before anything is trained

    def __call__(self, images: Tensor, query: Batch) -> Tensor:
        """Return (B,) float64."""
        painted, real = (photos(batch) for batch in (images, query["target"]))
        maps = query["structure"].cpu().numpy() > 0.5
        boxes = [face_box(label_map[self.face], label_map[self.brows]) for label_map in maps]
        errors = [
            np.nan if box is None else normalised_error(landmarks(ours, box), landmarks(theirs, box))
            for ours, theirs, box in zip(painted, real, boxes, strict=True)
        ]
        return torch.tensor(errors, dtype=torch.float64)


def channels_of(spec: TaskSpec, classes: Sequence[str], metric: str) -> list[int]:
    """Return the channels of `structure` with these classes ("inner-mouth" and "inner mouth" are one).

    Raises:
        UserError: when the data has not got them all.
    """
    known = [name.replace(" ", "-") for name in spec.classes]
    missing = [name for name in classes if name not in known]
    if missing:
        has = ", ".join(spec.classes) or "none that it names"
        raise UserError(
            f"the metric {metric!r} needs the classes {', '.join(missing)}; the task source has {has}",
            hint="it is for faces: leave it out of evaluate.metrics",
        )
    return [known.index(name) for name in classes]


def photos(images: Tensor) -> list[np.ndarray]:
    """Convert (B, 3, H, W) in [-1, 1] to B images (H, W, 3) of 256 levels."""
    return list(to_uint8(images).permute(0, 2, 3, 1).cpu().numpy())


def face_box(face: np.ndarray, brows: np.ndarray) -> Box | None:
    """Return the box of a face from its eyebrows to its chin; None where the map has none.

    The face of a map reaches up over the forehead, which the boxes that the predictor was trained with do not.

    Args:
        face: (H, W) bool, where the skin is.
        brows: (H, W) bool, where the eyebrows are.
    """
    if not face.any() or not brows.any():
        return None
    rows, columns = np.nonzero(face)
    return float(columns.min()), float(np.nonzero(brows)[0].min()), float(columns.max() + 1), float(rows.max() + 1)


def landmarks(photo: np.ndarray, box: Box) -> np.ndarray:
    """Return the 68 points of the face in a box, (68, 2), x and y in pixels of the photograph.

    Args:
        photo: (H, W, 3) uint8.
        box: of the face, in pixels of the photograph.
    """
    height, width = photo.shape[:2]
    scale = max(1.0, SIDE / min(height, width))
    if scale > 1:
        size = (round(width * scale), round(height * scale))
        photo = np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BICUBIC))
    left, top, right, bottom = (round(scale * edge) for edge in box)
    shape = predictor()(np.ascontiguousarray(photo), import_module(DLIB).rectangle(left, top, right - 1, bottom - 1))
    landmarks: np.ndarray = np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64) / scale
    return landmarks


def normalised_error(output: np.ndarray, real: np.ndarray) -> float:
    """Return mean distance of points (68, 2), divided by the distance of the outer eye corners of the real ones."""
    eyes = float(np.linalg.norm(real[OUTER_CORNERS[0]] - real[OUTER_CORNERS[1]]))
    return float(np.linalg.norm(output - real, axis=1).mean()) / eyes if eyes else float("nan")


@cache
def predictor() -> Any:
    """Return dlib's predictor of 68 points.

    Raises:
        UserError: when dlib or the predictor's weights are not installed.
    """
    weights = find_spec(WEIGHTS)  # importing it would take pkg_resources, which newer setuptools do not have
    try:
        dlib = import_module(DLIB)
    except ImportError:
        dlib = None
    if dlib is None or weights is None or weights.origin is None:
        raise UserError(
            "the metric 'face_landmarks' needs dlib and its predictor of 68 points, which are not installed",
            hint=f"`{extra_command('metai2i-faces', 'landmarks')}` brings them",
        )
    return dlib.shape_predictor(str(Path(weights.origin).parent / "models" / "shape_predictor_68_face_landmarks.dat"))
