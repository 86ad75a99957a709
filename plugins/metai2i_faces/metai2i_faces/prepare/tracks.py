"""Following one person through the frames of a shot, or through the photographs of an album.

A face belongs to the person of an earlier one when it lies no further from it than its own size, is about as large
and looks alike. Where that is in doubt (a second face nearby, a gap, a jump, another colour) and the finder has a
measure of identity, that decides. A face that is lost leaves a gap: nobody else takes its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.optimize import linear_sum_assignment

from metai2i_faces.prepare.landmarks import Face

REACH = 1.0
"""A face that has moved further, in parts of its size, is another one."""
CLOSE = 0.5
"""A face that has moved no further, and is alone, is the same without a second look."""
GROWTH = 2.0
"""A face that is so many times larger or smaller than before is another one."""
FORESEEN = 3
"""A movement is continued over so many frames at most."""
STEADY, RECOLOURED = 25.0, 60.0
"""Levels by which the colours of a face may change without a second look, and at all where there is no identity."""
SAME, OTHER = 0.5, 0.62
"""Identities that are nearer are one person's, those that are further apart two people's; between, places decide."""
PATCH = 4
"""The colours of a face are those of so many parts across and down."""
LARGEST = 2.0
"""Where an album's faces have no identity, one that is so many times larger than the others is the person's."""


@dataclass(frozen=True, eq=False)
class Sight:
    """A face in a frame.

    Args:
        frame: the number of the frame among those that are looked at.
        face: the face.
        look: (PATCH, PATCH, 3), the colours of its bounding box.
        share: its size in parts of the longer side of the frame.
    """

    frame: int
    face: Face
    look: np.ndarray
    share: float


def sight(frame: int, face: Face, image: np.ndarray) -> Sight:
    """Return a face of the frame `image` (H, W, 3) uint8 with its colours."""
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(face.points.min(0)), 0, [width - 1, height - 1]).astype(int)
    right, bottom = np.clip(np.ceil(face.points.max(0)), [left + 1, top + 1], [width, height]).astype(int)
    box = Image.fromarray(np.ascontiguousarray(image[top:bottom, left:right]))
    look = np.asarray(box.resize((PATCH, PATCH), Image.Resampling.BOX), np.float64)
    return Sight(frame, face, look, face.size / max(height, width))


def weight(sights: Sequence[Sight]) -> float:
    """Return how much a person is what the frames are about: seen large, from the front, and for long."""
    return sum(each.share * max(each.face.score, 0.0) for each in sights)


class Track:
    """The sights of one person so far, at most one in a frame; and her colours, as nobody was in front of her."""

    def __init__(self, first: Sight) -> None:
        self.sights = [first]
        self.look = first.look

    def add(self, other: Sight, hidden: bool) -> None:
        """Go on with a sight, perhaps one that another face may hide."""
        self.sights.append(other)
        if not hidden:
            self.look = other.look

    @property
    def last(self) -> Sight:
        """Return the latest sight."""
        return self.sights[-1]

    def foreseen(self, frame: int) -> np.ndarray:
        """Return where the face would be now if it went on as it moved before, (2,)."""
        middle, steps = self.last.face.middle, frame - self.last.frame
        if len(self.sights) < 2 or steps > FORESEEN:
            return middle
        before = self.sights[-2]
        ahead: np.ndarray = middle + (middle - before.face.middle) * (steps / (self.last.frame - before.frame))
        return ahead

    def apart(self, other: Sight) -> float | None:
        """Return how far the identity of a sight is from the nearest of this track's first and last sight."""
        known = [each.face.identity for each in (self.sights[0], self.last)]
        if other.face.identity is None or any(identity is None for identity in known):
            return None
        here = other.face.identity()
        return min(float(np.linalg.norm(identity() - here)) for identity in known if identity is not None)


def follow(frames: Sequence[Sequence[Sight]]) -> list[Track]:
    """Return the people of a shot, each with the sights of it.

    Args:
        frames: the sights of every frame that was looked at, in order.
    """
    tracks: list[Track] = []
    for sights in frames:
        left = _continue_plain(tracks, sights)
        if left:
            free = [track for track in tracks if track.last.frame < left[0].frame]
            tracks += [Track(each) for each in _continue_doubtful(free, left, sights)]
    return tracks


def person_of(frames: Sequence[Sequence[Sight]], *, album: bool) -> list[Sight]:
    """Return the sights of the person that the frames are about.

    In a shot that is who is seen largest, clearest and longest; in an album who is in most photographs.

    Args:
        frames: the sights of every frame that was looked at, in order.
        album: photographs, in which places say nothing, rather than frames of a shot.
    """
    seen = [each for sights in frames for each in sights]
    if not seen:
        return []
    if not album:
        return max((track.sights for track in follow(frames)), key=lambda sights: (weight(sights), len(sights)))
    if all(each.face.identity is not None for each in seen):
        return _alike(frames, seen)
    return [each for each in map(_standing_out, frames) if each is not None]


def _continue_plain(tracks: Sequence[Track], sights: Sequence[Sight]) -> list[Sight]:
    """Add the sights that leave no doubt to their tracks, and return the others."""
    left = []
    for each in sights:
        near = [track for track in tracks if _distance(track, each) <= REACH]
        crowd = [other for other in sights if near and _distance(near[0], other) <= REACH]
        if len(near) == len(crowd) == 1 and _is_plain(near[0], each):
            near[0].add(each, hidden=False)
        else:
            left.append(each)
    return left


def _continue_doubtful(tracks: Sequence[Track], left: Sequence[Sight], sights: Sequence[Sight]) -> list[Sight]:
    """Add those of the sights that are left to the tracks that they fit best, and return those that fit none."""
    hidden = {each: any(_overlap(each, other) for other in sights if other is not each) for each in left}
    costs = np.array([_cost(track, each, hidden[each]) for track in tracks for each in left])
    costs = costs.reshape(len(tracks), len(left))
    new = dict(enumerate(left))
    for row, column in zip(*linear_sum_assignment(np.minimum(costs, 1e6)), strict=True):
        if np.isfinite(costs[row, column]):
            each = new.pop(column)
            tracks[row].add(each, hidden[each])
    return list(new.values())


def _overlap(face: Sight, other: Sight) -> bool:
    """Return whether two faces of a frame are so near that one may hide a part of the other."""
    size = (face.face.size + other.face.size) / 2
    return float(np.linalg.norm(face.face.middle - other.face.middle)) < size


def _distance(track: Track, other: Sight) -> float:
    """Return the distance from where a face was or, if that is nearer, would be now; in parts of its size."""
    places = track.last.face.middle, track.foreseen(other.frame)
    size = (track.last.face.size + other.face.size) / 2
    return min(float(np.linalg.norm(place - other.face.middle)) for place in places) / max(size, 1e-6)


def _recoloured(track: Track, other: Sight) -> float:
    return float(np.abs(track.look - other.look).mean())


def _is_sized(track: Track, other: Sight) -> bool:
    sizes = sorted((track.last.face.size, other.face.size))
    return sizes[1] <= GROWTH * sizes[0]


def _is_plain(track: Track, other: Sight) -> bool:
    return (
        other.frame == track.last.frame + 1
        and _distance(track, other) <= CLOSE
        and _is_sized(track, other)
        and _recoloured(track, other) <= STEADY
    )


def _cost(track: Track, other: Sight, hidden: bool) -> float:
    """Return how badly a sight continues a track; infinite where it does not. Colours that may be another's say
    nothing.
    """
    is_near = _distance(track, other) <= REACH and _is_sized(track, other)
    apart = track.apart(other)
    if apart is None:
        unlike = 0.0 if hidden else _recoloured(track, other) / RECOLOURED
        fits = is_near and unlike <= 1
    else:
        fits = apart <= SAME or (is_near and apart < OTHER)
        unlike = 2 * apart
    size = (track.last.face.size + other.face.size) / 2
    moved = float(np.linalg.norm(track.foreseen(other.frame) - other.face.middle)) / max(size, 1e-6)
    return min(moved, 3.0) + unlike if fits else float("inf")


def _alike(frames: Sequence[Sequence[Sight]], seen: Sequence[Sight]) -> list[Sight]:
    """Return, of each photograph, the face that is most like the one that most others are like."""
    identities = np.stack([each.face.identity() for each in seen if each.face.identity is not None])
    apart = np.linalg.norm(identities[:, None] - identities[None], axis=-1)
    place = {id(each): number for number, each in enumerate(seen)}

    def of(number: int) -> list[Sight]:
        nearest = [min(sights, key=lambda each: apart[number, place[id(each)]]) for sights in frames if sights]
        return [each for each in nearest if apart[number, place[id(each)]] < OTHER]

    return max(map(of, range(len(seen))), key=lambda sights: (len(sights), weight(sights)))


def _standing_out(sights: Sequence[Sight]) -> Sight | None:
    """Return the only face of a photograph, or the one that is much larger than all others."""
    ranked = sorted(sights, key=lambda each: -each.share)
    if len(ranked) > 1 and ranked[0].share < LARGEST * ranked[1].share:
        return None
    return ranked[0] if ranked else None
