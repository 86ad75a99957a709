"""Edges of a photograph as a drawing of black lines on white (XDoG, Winnemöller et al., 2012)."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

SIGMA, RATIO, GAMMA, PHI, EPSILON = 0.6, 1.6, 0.945, 200.0, -0.1
"""EdgeGAN's settings."""


def xdog(photo: np.ndarray) -> np.ndarray:
    """Return the edges of a photograph: (H, W) uint8, 0 where a line is and 255 elsewhere.

    Two blurred copies of its grey levels are held against each other. What is left is brought to levels by a soft
    threshold, and these to black and white by their mean. A photograph of one colour has no lines.

    Args:
        photo: (H, W, 3) uint8.
    """
    grey = np.asarray(Image.fromarray(photo).convert("L"), dtype=np.float64) / 255
    apart = gaussian_filter(grey, SIGMA) - GAMMA * gaussian_filter(grey, SIGMA * RATIO)
    levels = np.where(apart < EPSILON, 1.0, 1 + np.tanh(PHI * apart))
    if levels.max() - levels.min() < 1e-6:
        return np.full(grey.shape, 255, np.uint8)
    return np.where(levels > levels.mean(), 255, 0).astype(np.uint8)
