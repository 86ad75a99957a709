"""From one video, or folder of images, to the photographs and maps of its clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from metai2i import Randomness, UserError
from metai2i.data import evenly_chosen
from metai2i_faces.prepare.crop import Square, cut_out, place, scaled, square_about
from metai2i_faces.prepare.cut import Piece, cut
from metai2i_faces.prepare.decode import Survey, read_frames, survey
from metai2i_faces.prepare.draw import Polygon, area, draw, regions
from metai2i_faces.prepare.landmarks import Face, Finder
from metai2i_faces.prepare.sources import Source, check_images
from metai2i_faces.prepare.tracks import Sight, person_of, sight
from metai2i_faces.regions import PALETTE

QUALITY = 92
"""Of the JPEG files, whose colours have the full resolution."""

NO_FACE, OTHERS, LOW_SCORE, NO_ROOM, NO_AREA = (
    "no face found",
    "faces, but none that is surely this person's",
    "the detector's score is too low",
    "the face does not fit into the frame",
    "a region without area",
)
"""Why a frame is rejected."""
PROBES = 3
"""Of every shot of a video that has several, so many frames are asked for a face."""


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
                raise UserError(f"--{name.replace('_', '-')}: got {value:g}, expected at least {least[name]:g}")
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
        shots: how many shots there are, of which one was taken.
        elsewhere: the frames of the other shots.
        gaps: how many times the person was lost and seen again.
        others: faces of other people that were passed over.
        unread: what cannot be read, and why.
    """

    count: int
    clips: tuple[Clip, ...]
    rejected: Mapping[str, int]
    shots: int = 1
    elsewhere: int = 0
    gaps: int = 0
    others: int = 0
    unread: tuple[str, ...] = ()


def make(source: Source, find: Finder, settings: Settings) -> Made:
    """Read a source's frames, and make a pair of each that shows the person it is about.

    Of a video with several shots one alone is taken, the longest that shows a face; see `main_shot`.

    Args:
        source: a video or a folder of images.
        find: finds the faces of a frame.
        settings: how.

    Raises:
        UserError: for what cannot be read.
    """
    if source.kind == "images":
        check_images(source.path)
    seen = survey(source)
    shot = main_shot(source, seen, find, settings)
    cuts = cut(
        len(shot),
        clips=settings.clips if source.split == "train" else 1,
        frames=settings.frames,
        least=settings.min_frames,
        rng=Randomness((settings.seed, "faces", source.id)),
    )
    pieces = [Piece(tuple(shot[n] for n in piece.frames), piece.warp) for piece in cuts]
    home = {number: piece for piece in pieces for number in piece.frames}
    looked: list[int] = []
    sights: list[list[Sight]] = []
    outcomes: dict[Sight, Portrait | str] = {}
    for number, frame in read_frames(source, home):
        sights.append([sight(len(looked), face, frame) for face in find(frame)])
        looked.append(number)
        for each in sights[-1]:
            # Whose face it is turns out in the end; until then a pair takes less memory than a frame.
            outcomes[each] = portray(number, frame, each.face, home[number], settings)
    person = {each.frame: each for each in person_of(sights, album=seen.album)}
    portraits: dict[Piece, list[Portrait]] = {piece: [] for piece in pieces}
    rejected: Counter[str] = Counter()
    for order, number in enumerate(looked):
        outcome = outcomes[person[order]] if order in person else OTHERS if sights[order] else NO_FACE
        if isinstance(outcome, Portrait):
            portraits[home[number]].append(outcome)
        else:
            rejected[outcome] += 1
    return Made(
        seen.count,
        tuple(Clip(piece, tuple(each)) for piece, each in portraits.items()),
        rejected,
        shots=len(seen.shots),
        elsewhere=sum(map(len, seen.shots)) - len(shot),
        gaps=0 if seen.album else sum(b - a > 1 for a, b in pairwise(sorted(person))),
        others=sum(each.face.score >= settings.min_score for each in outcomes if each is not person.get(each.frame)),
        unread=seen.unread,
    )


def main_shot(source: Source, seen: Survey, find: Finder, settings: Settings) -> tuple[int, ...]:
    """Return the frames of the shot that a source is about: long, and with a face in the frames that are probed.

    Shots that are too short for a clip are taken only where there are no others.
    """
    long_enough = [shot for shot in seen.shots if len(shot) >= settings.min_frames]
    if len(long_enough) < 2:
        return max(long_enough or seen.shots, key=len)
    probed = {number: shot for shot in long_enough for number in evenly_chosen(shot, PROBES)}
    hits: Counter[tuple[int, ...]] = Counter()
    for number, frame in read_frames(source, probed):
        hits[probed[number]] += any(face.score >= settings.min_score for face in find(frame))
    return max(long_enough, key=lambda shot: (hits[shot] * len(shot), len(shot)))


def portray(number: int, frame: np.ndarray, face: Face, piece: Piece, settings: Settings) -> Portrait | str:
    """Return the pair of a frame, or why there is none."""
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
    """Return whether a region can be seen at all: a thousandth of a pixel is taken for none."""
    return area(polygon) > 1e-3


def save(folder: Path, portraits: tuple[Portrait, ...], count: int) -> None:
    """Write the pairs of one person, as NAME.jpg, NAME.png and landmarks.npz.

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
