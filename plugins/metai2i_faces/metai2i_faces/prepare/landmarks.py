"""Finding faces and their 68 points with dlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from metai2i_faces.prepare.missing import folder_of, needed

SMALL = 640
"""Frames whose longer side is less are looked at in twice their size: the detector finds faces from 80 pixels on."""
LEAST_SCORE = -0.5
"""Faces that the detector scores lower are not even told of."""


@dataclass(frozen=True)
class Face:
    """A face in a frame.

    Args:
        points: (68, 2) float32, x and y in pixels from the upper left corner of the frame, so that the middle of its
            first pixel is (0.5, 0.5).
        score: the detector's, about 0 where it is in doubt and 1 to 3 for faces from the front.
    """

    points: np.ndarray
    score: float


Finder = Callable[[np.ndarray], Sequence[Face]]
"""From a frame (H, W, 3) uint8 to all faces in it."""


def dlib_finder() -> Finder:
    """All faces by dlib's frontal detector, with the points of its 68-point predictor.

    Raises:
        UserError: when dlib or the predictor's weights are not installed.
    """
    dlib = needed("dlib")
    # Its package would import pkg_resources, which newer setuptools do not have.
    weights = folder_of("face_recognition_models") / "models" / "shape_predictor_68_face_landmarks.dat"
    detector, predictor = dlib.get_frontal_face_detector(), dlib.shape_predictor(str(weights))

    def find(frame: np.ndarray) -> list[Face]:
        height, width = frame.shape[:2]
        scale = 2 if max(height, width) < SMALL else 1
        if scale > 1:
            larger = Image.fromarray(frame).resize((width * scale, height * scale), Image.Resampling.BICUBIC)
            frame = np.asarray(larger)
        boxes, scores, _ = detector.run(frame, 0, LEAST_SCORE)
        found = []
        for box, score in zip(boxes, scores, strict=True):
            points = np.array([(point.x, point.y) for point in predictor(frame, box).parts()], dtype=np.float32)
            found.append(Face((points + 0.5) / scale, float(score)))
        return found

    return find


def choose(faces: Sequence[Face], last: Face | None) -> Face | None:
    """The face that a frame is about: the one nearest to that of the last frame, at first the one that scores best."""
    if not faces:
        return None
    if last is None:
        return max(faces, key=lambda face: face.score)
    middle = last.points.mean(0)
    return min(faces, key=lambda face: float(np.linalg.norm(face.points.mean(0) - middle)))
