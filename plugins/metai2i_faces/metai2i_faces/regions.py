"""The seven regions of a face that label maps show."""

from __future__ import annotations

CLASSES = ("background", "face", "eyebrows", "eyes", "nose", "lips", "inner-mouth")
"""Region names by id."""

PALETTE: tuple[tuple[int, int, int], ...] = (
    (0, 0, 0),
    (255, 205, 170),
    (130, 70, 20),
    (40, 110, 240),
    (90, 200, 90),
    (220, 40, 60),
    (250, 240, 60),
)
"""The colour of each id, (R, G, B) in 0..255."""
