"""Finding faces, their 68 points and whose they are with dlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from metai2i_faces.prepare.missing import folder_of, needed

SMALL = 640
"""Frames whose longer side is less are looked at in twice their size: the detector finds faces from 80 pixels on."""
LEAST_SCORE = -0.5
"""Faces that the detector scores lower are not even told of."""
CHIP = 150
"""Height and width of the upright image of a face by which the network tells people apart."""


@dataclass(frozen=True)
class Face:
    """A face in a frame.

    Args:
        points: (68, 2) float32, x and y in pixels from the upper left corner of the frame, so that the middle of its
            first pixel is (0.5, 0.5).
        score: the detector's, about 0 where it is in doubt and 1 to 3 for faces from the front.
        identity: gives numbers (D,) that lie less than 0.6 apart for two photographs of one person, and further for
            two people; called in doubt alone, for it takes longer than all else. None when there is no such measure.
    """

    points: np.ndarray
    score: float
    identity: Callable[[], np.ndarray] | None = None

    @property
    def middle(self) -> np.ndarray:
        """Return the mean of the points, (2,)."""
        middle: np.ndarray = self.points.mean(0)
        return middle

    @property
    def size(self) -> float:
        """Return the longer side of the bounding box of the points, in pixels."""
        return float((self.points.max(0) - self.points.min(0)).max())


Finder = Callable[[np.ndarray], Sequence[Face]]
"""From a frame (H, W, 3) uint8 to all faces in it."""


def dlib_finder() -> Finder:
    """Return all faces by dlib's frontal detector, the points by its 68-point predictor, identities by its network.

    Raises:
        UserError: when dlib or the weights are not installed.
    """
    dlib = needed("dlib")
    # Its package would import pkg_resources, which newer setuptools do not have.
    weights = folder_of("face_recognition_models") / "models"
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(weights / "shape_predictor_68_face_landmarks.dat"))
    recogniser = cache(
        lambda: dlib.face_recognition_model_v1(str(weights / "dlib_face_recognition_resnet_model_v1.dat"))
    )

    def identity(chip: np.ndarray) -> Callable[[], np.ndarray]:
        return cache(lambda: np.array(recogniser().compute_face_descriptor(chip)))

    def find(frame: np.ndarray) -> list[Face]:
        height, width = frame.shape[:2]
        scale = 2 if max(height, width) < SMALL else 1
        if scale > 1:
            larger = Image.fromarray(frame).resize((width * scale, height * scale), Image.Resampling.BICUBIC)
            frame = np.asarray(larger)
        boxes, scores, _ = detector.run(frame, 0, LEAST_SCORE)
        faces = []
        for box, score in zip(boxes, scores, strict=True):
            shape = predictor(frame, box)
            points = np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float32)
            chip = dlib.get_face_chip(frame, shape, CHIP)
            faces.append(Face((points + 0.5) / scale, float(score), identity(chip)))
        return faces

    return find
