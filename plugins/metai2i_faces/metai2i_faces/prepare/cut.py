"""Cutting a video into clips, and which of them are augmented how."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch

from metai2i import Randomness
from metai2i.data import evenly_chosen

ROTATE = 10.0
"""Degrees; augmented clips are turned by an angle drawn from [-ROTATE, ROTATE]."""
SCALE = 0.1
"""Augmented clips show a square whose side is multiplied by a factor drawn from [1 - SCALE, 1 + SCALE]."""


@dataclass(frozen=True)
class Warp:
    """How the frames of a clip are changed.

    Args:
        flip: mirrored left and right.
        degrees: the angle by which the image is turned counter-clockwise.
        scale: multiplies the side of the square that is cut out.
    """

    flip: bool = False
    degrees: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Piece:
    """Frames of a video that make one person: their numbers, in order, and how they are changed."""

    frames: tuple[int, ...]
    warp: Warp


def cut(count: int, *, clips: int, frames: int, least: int, rng: Randomness) -> list[Piece]:
    """Cut `count` frames into stretches of equal length, one after the other, and take frames evenly from each.

    All but the first are augmented. Where the stretches would have fewer than `least` frames there are fewer clips.

    Args:
        count: the frames of the video.
        clips: how many clips are wanted.
        frames: at most so many frames are taken from each.
        least: the fewest frames of a clip.
        rng: the video's address.

    >>> [piece.frames for piece in cut(10, clips=3, frames=2, least=3, rng=Randomness())]
    [(0, 1), (3, 4), (6, 8)]
    """
    parts = max(1, min(clips, count // least))
    edges = [part * count // parts for part in range(parts + 1)]
    return [
        Piece(tuple(evenly_chosen(range(start, end), frames)), draw_warp(rng.at("clip", part)) if part else Warp())
        for part, (start, end) in enumerate(pairwise(edges))
    ]


def draw_warp(rng: Randomness) -> Warp:
    """Return a flip with probability 1/2, an angle and a factor."""
    flip, angle, scale = torch.rand(3, generator=rng.generator(), dtype=torch.float64).tolist()
    return Warp(flip < 0.5, ROTATE * (2 * angle - 1), 1 + SCALE * (2 * scale - 1))
