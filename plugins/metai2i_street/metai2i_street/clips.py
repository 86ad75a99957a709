"""Clips of successive annotated frames, cut from the names of CamVid's frames.

CamVid labels every 30th video frame (sometimes a frame early or late), and one stretch of sequence 0016E5 every second.
A clip keeps to one pace: it ends at a gap (more than 31 video frames) and where the pace changes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

USUAL_STEP = 30
"""Video frames between annotated frames."""
TOLERANCE = 1
"""By how many video frames a usual step may differ."""

_FRAME = re.compile(r"(?P<sequence>[0-9A-Za-z]+)_f?(?P<number>\d+)")


@dataclass(frozen=True)
class Clip:
    """Successive frames of one sequence, by name."""

    id: str
    sequence: str
    frames: tuple[str, ...]


@dataclass(frozen=True)
class Cut:
    """Clips, and what the cutting came across.

    Args:
        clips: in the order of sequences and frames.
        segments: the stretches without a gap or a change of pace, by the names of their frames.
        sequences: how many sequences there are.
    """

    clips: tuple[Clip, ...]
    segments: tuple[tuple[str, ...], ...]
    sequences: int

    @property
    def gaps(self) -> int:
        """Return gaps and changes of pace within sequences."""
        return len(self.segments) - self.sequences

    @property
    def left_over(self) -> int:
        """Return frames in no clip."""
        return sum(map(len, self.segments)) - sum(len(clip.frames) for clip in self.clips)


def is_frame(name: str) -> bool:
    """Return whether a name is one of a CamVid frame: `0001TP_006690`, `Seq05VD_f00030`."""
    return _FRAME.fullmatch(name) is not None


def frame_of(name: str) -> tuple[str, int]:
    """Return sequence and video frame number.

    >>> frame_of("Seq05VD_f00030")
    ('Seq05VD', 30)

    Raises:
        ValueError: for another name.
    """
    match = _FRAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is not SEQUENCE_NUMBER")
    return match["sequence"], int(match["number"])


def segments(numbers: Sequence[int]) -> list[list[int]]:
    """Return rising frame numbers, cut at gaps and changes of pace.

    >>> segments([0, 30, 61, 90, 129, 131, 133, 164, 194])
    [[0, 30, 61, 90], [129, 131, 133], [164, 194]]
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and _goes_on(runs[-1], number):
            runs[-1].append(number)
        elif runs and len(runs[-1]) == 2 and number - runs[-1][-1] <= USUAL_STEP + TOLERANCE:
            # Two frames make no pace yet: the second may as well begin the next stretch.
            runs.append([runs[-1].pop(), number])
        else:
            runs.append([number])
    return runs


def _goes_on(segment: Sequence[int], number: int) -> bool:
    step = number - segment[-1]
    if len(segment) == 1:
        return step <= USUAL_STEP + TOLERANCE
    first = segment[1] - segment[0]
    if abs(first - USUAL_STEP) <= TOLERANCE:
        return abs(step - USUAL_STEP) <= TOLERANCE
    return step == first


def cut(names: Iterable[str], length: int) -> Cut:
    """Cut frames into clips of `length`, one after the other within each segment; remainders are left over.

    Args:
        names: of frames, in any order.
        length: frames in a clip.
    """
    by_sequence: dict[str, dict[int, str]] = defaultdict(dict)
    for name in names:
        sequence, number = frame_of(name)
        by_sequence[sequence][number] = name
    clips, stretches = [], []
    for sequence, frames in sorted(by_sequence.items()):
        for segment in segments(sorted(frames)):
            stretch = tuple(frames[number] for number in segment)
            stretches.append(stretch)
            for start in range(0, len(stretch) - length + 1, length):
                part = stretch[start : start + length]
                clips.append(Clip(f"{part[0]}-{part[-1].split('_')[-1]}", sequence, part))
    return Cut(tuple(clips), tuple(stretches), len(by_sequence))
