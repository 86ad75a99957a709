"""From one video, or folder of pictures, to the photographs and maps of its clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from metai2i import Randomness, UserError
from metai2i_faces.prepare.crop import Square, cut_out, place, scaled, square_about
from metai2i_faces.prepare.cut import Piece, cut
from metai2i_faces.prepare.decode import count_frames, read_frames
from metai2i_faces.prepare.draw import Polygon, area, draw, regions
from metai2i_faces.prepare.landmarks import Face, Finder, choose
from metai2i_faces.prepare.sources import Source
from metai2i_faces.regions import PALETTE

QUALITY = 92
"""Of the JPEG files, whose colours have the full resolution."""

NO_FACE, LOW_SCORE, NO_ROOM, NO_AREA = (
    "no face found",
    "the detector's score is too low",
    "the face does not fit into the frame",
    "a region without area",
)
"""Why a frame is rejected."""


@dataclass(frozen=True)
class Settings:
    """How faces are prepared; see the options of `metai2i data faces`.

    Raises:
        UserError: for a value that is out of range.
    """

    size: int = 128
    margin: float = 1.3
    frames: int = 25
    clips: int = 7
    min_frames: int = 20
    min_score: float = 0.0
    val_fraction: float = 0.0
    test_fraction: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"size": 16, "margin": 1.0, "frames": 1, "clips": 1, "min_frames": 1}
        for name, value in asdict(self).items():
            if value < least.get(name, value):
                raise UserError(f"--{name.replace('_', '-')} must be {least[name]} or more, got {value}")
        if self.min_frames > self.frames:
            raise UserError(f"--min-frames {self.min_frames} is more than --frames {self.frames}: no clip would stay")


@dataclass(frozen=True)
class Portrait:
    """One pair.

    Args:
        number: of the frame.
        photo: (S, S, 3) uint8.
        labels: (S, S) uint8 region ids.
        source: the points in the frame, (68, 2), in pixels from its corner.
        placed: the points in the photograph, likewise.
        square: what was cut out.
        score: the detector's.
    """

    number: int
    photo: np.ndarray
    labels: np.ndarray
    source: np.ndarray
    placed: np.ndarray
    square: Square
    score: float


@dataclass(frozen=True)
class Clip:
    """A piece of a source, and the pairs of its frames that were not rejected."""

    piece: Piece
    portraits: tuple[Portrait, ...]


@dataclass(frozen=True)
class Made:
    """What came out of a source.

    Args:
        count: the frames of the source.
        clips: all, also those with few pairs.
        rejected: how many frames were rejected, by why.
    """

    count: int
    clips: tuple[Clip, ...]
    rejected: Mapping[str, int]


def make(source: Source, find: Finder, settings: Settings) -> Made:
    """Reads a source's frames, and makes a pair of each that shows a face.

    Args:
        source: a video or a folder of pictures.
        find: finds the faces of a frame.
        settings: how.

    Raises:
        UserError: for what cannot be read.
    """
    count = count_frames(source)
    pieces = cut(
        count,
        clips=settings.clips if source.split == "train" else 1,
        frames=settings.frames,
        least=settings.min_frames,
        rng=Randomness((settings.seed, "faces", source.id)),
    )
    home = {number: piece for piece in pieces for number in piece.frames}
    portraits: dict[Piece, list[Portrait]] = {piece: [] for piece in pieces}
    rejected: Counter[str] = Counter()
    last: Face | None = None
    for number, frame in read_frames(source, home):
        face = choose(find(frame), last)
        portrait: Portrait | str = NO_FACE
        if face is not None:
            last = face if face.score >= settings.min_score else last
            portrait = portray(number, frame, face, home[number], settings)
        if isinstance(portrait, Portrait):
            portraits[home[number]].append(portrait)
        else:
            rejected[portrait] += 1
    return Made(count, tuple(Clip(piece, tuple(each)) for piece, each in portraits.items()), rejected)


def portray(number: int, frame: np.ndarray, face: Face, piece: Piece, settings: Settings) -> Portrait | str:
    """The pair of a frame, or why there is none."""
    if face.score < settings.min_score:
        return LOW_SCORE
    height, width = frame.shape[:2]
    square = square_about(face.points, (height, width), settings.margin)
    if square is None:
        return NO_ROOM
    square = scaled(square, piece.warp.scale, (height, width))
    placed = place(face.points, square, piece.warp, settings.size)
    polygons = regions(placed)
    if not all(has_area(each) for name in polygons for each in polygons[name]):
        return NO_AREA
    photo = cut_out(frame, square, piece.warp, settings.size)
    return Portrait(number, photo, draw(polygons, settings.size), face.points, placed, square, face.score)


def has_area(polygon: Polygon) -> bool:
    """Whether a region can be seen at all: a thousandth of a pixel is taken for none."""
    return area(polygon) > 1e-3


def save(folder: Path, portraits: tuple[Portrait, ...], count: int) -> None:
    """Writes the pairs of one person, as NAME.jpg, NAME.png and landmarks.npz.

    Args:
        folder: is made.
        portraits: the pairs.
        count: the frames of the source, which decides how long names are; they are the frames' numbers.
    """
    folder.mkdir(parents=True)
    digits = max(2, len(str(count - 1)))
    names = [f"{portrait.number:0{digits}d}" for portrait in portraits]
    for name, portrait in zip(names, portraits, strict=True):
        Image.fromarray(portrait.photo).save(folder / f"{name}.jpg", quality=QUALITY, subsampling=0)
        labels = Image.fromarray(portrait.labels)
        labels.putpalette([value for colour in PALETTE for value in colour])
        labels.save(folder / f"{name}.png", optimize=True)
    squares = [(portrait.square.left, portrait.square.top, portrait.square.side) for portrait in portraits]
    np.savez_compressed(
        folder / "landmarks.npz",
        names=np.array(names),
        pts_source=np.stack([portrait.source for portrait in portraits]).astype(np.float32) - 0.5,
        pts_crop=np.stack([portrait.placed for portrait in portraits]).astype(np.float32),
        crop_left_top_side=np.array(squares, dtype=np.float32),
        score=np.array([portrait.score for portrait in portraits], dtype=np.float32),
    )
