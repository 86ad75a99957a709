"""`Field`: what one field of a batch is, by which it is warped, checked, read from files and shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

FieldKind = Literal["photo", "onehot", "map", "ids", "label", "vector"]

EXEMPLAR = "reference"
"""The photograph of the sample chosen as exemplar; `reference_X` is that sample's field X."""
ITSELF = "self_exemplar"
"""1 for each sample that is its own exemplar, 0 for all others: the host says it where the recipe allows for it."""
PHOTOGRAPH = "target"
"""The field of a sample that is its photograph."""
FAKE = "fake"
"""What the general model makes of a sample: the host adds it for retrievers that need it."""
NEW_DOMAIN = "a new domain"
"""The name of the domain that no image of the data is of, by which a source lets models be adapted to another one."""


@dataclass(frozen=True)
class Field:
    """What one field of a batch is.

    ==========  =====================  ==============================================================
    `photo`     (B, 3, H, W) float     a photograph, in [-1, 1]
    `onehot`    (B, C, H, W) float     a label map: 1 in the channel of the pixel's class, 0 elsewhere
    `map`       (B, C, H, W) float     a continuous map, in [0, 1]: edges, distances, a pose
    `ids`       (B, H, W) int64        a number for each pixel that only tells it from others
    `label`     (B,) int64             a number for each sample: its domain, its class
    `vector`    (B, C) float           numbers that belong to no pixel
    ==========  =====================  ==============================================================

    Args:
        kind: one of these.
        channels: C of onehot, map and vector (0: not said, for a vector); how many there are, of ids and label.
        names: of the channels or of the labels, for people to read.
        palette: one (R, G, B) in 0..255 for each of them, for showing maps.
        sharp: whether a map's values are never to be mixed with a neighbour's, such as those of classes that overlap.
        drawn: whether a map is a drawing, dark lines on white: a file of it that is empty or white on black is refused.
    """

    kind: FieldKind
    channels: int = 0
    names: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    sharp: bool = False
    drawn: bool = False

    @property
    def is_image(self) -> bool:
        """Return whether it has pixels, which a warp moves."""
        return self.kind in ("photo", "onehot", "map", "ids")

    @property
    def is_labels(self) -> bool:
        """Return whether each of its pixels is a label, never to be mixed with its neighbour."""
        return self.kind in ("onehot", "ids")

    @property
    def is_sharp(self) -> bool:
        """Return whether a warp takes the nearest pixel, and mixes none."""
        return self.is_labels or self.sharp

    @property
    def is_whole(self) -> bool:
        """Return whether it is of whole numbers (int64)."""
        return self.kind in ("ids", "label")

    @property
    def lowest(self) -> float | None:
        """Return the least value, where the largest is 1; None where any value will do."""
        return {"photo": -1.0, "onehot": 0.0, "map": 0.0}.get(self.kind)

    @property
    def mirrored(self) -> tuple[int, ...]:
        """Return for each class the one whose place it takes when the image is mirrored, by what they are called:
        `l_eye` is then an `r_eye`. Nothing where each keeps its own, and for maps that have no classes.
        """
        classes = self.kind == "onehot" or (self.kind == "map" and self.sharp)
        return mirrored_places(tuple(map(str, self.names))) if classes else ()

    def shape(self, size: tuple[int, int]) -> tuple[int, ...] | None:
        """Return the shape of one sample for images of H x W; None for a vector whose length is not said."""
        if self.kind == "vector":
            return (self.channels,) if self.channels else None
        channels: tuple[int, ...] = {"photo": (3,), "onehot": (self.channels,), "map": (self.channels,)}.get(
            self.kind, ()
        )
        return (*channels, *size) if self.is_image else ()


@lru_cache
def mirrored_places(names: tuple[str, ...]) -> tuple[int, ...]:
    """Return for each name the place of the one that says right where it says left, and the other way round; nothing
    where all stay. A letter means a side where it begins a name and stands for itself.

    >>> mirrored_places(("skin", "l_eye", "r_eye", "l_lip"))  # which is the lower one
    (0, 2, 1, 3)
    >>> mirrored_places(("Left arm", "rightLeg", "Right arm", "leftLeg"))
    (2, 3, 0, 1)
    >>> mirrored_places(("letter l", "letter r"))
    ()
    """
    place = {name: n for n, name in enumerate(names)}
    swapped = [_SIDE.sub(lambda side: _OTHER_SIDE[side[0]], name) for name in names]
    places = [place.get(other, n) for n, other in enumerate(swapped)]
    # Where two have one name, it is not known which of them is meant.
    return tuple(places) if places != list(range(len(names))) and len(place) == len(names) else ()


_OTHER_SIDE = {"l": "r", "L": "R", "left": "right", "Left": "Right", "LEFT": "RIGHT"}
_OTHER_SIDE |= {right: left for left, right in _OTHER_SIDE.items()}
_SIDE = re.compile(
    r"^[lrLR](?=[_\W])"  # l_eye, R-arm
    r"|(?<![a-z])(?:left|right)(?![a-z])"  # left_eye, leftEye
    r"|(?:Left|Right)(?![a-z])"  # eyeLeft, Left eye
    r"|(?<![A-Z])(?:LEFT|RIGHT)(?![A-Z])"
)

FieldLookup = Callable[[str], Field | None]
"""Says what the field of a name is; None where nobody has said."""

_STANDARD = {
    "structure": Field("onehot"),
    "target": Field("photo"),
    "source": Field("photo"),
    "instances": Field("ids"),
    "domain": Field("label"),
    "reference2": Field("photo"),
    ITSELF: Field("label", 2),
    FAKE: Field("photo"),
}


def standard_field(name: str) -> Field | None:
    """Return what a field is by the standard names alone, without what a task source says of its data."""
    return _STANDARD.get(exemplified(name))


def is_exemplars(name: str) -> bool:
    """Return whether a field is one of the sample that is chosen as exemplar.

    >>> [is_exemplars(name) for name in ("reference", "reference_structure", "target")]
    [True, True, False]
    """
    return name == EXEMPLAR or name.startswith(f"{EXEMPLAR}_")


def exemplified(name: str) -> str:
    """Return the field of the exemplar's sample that a field shows; the name itself for fields of the sample.

    >>> [exemplified(name) for name in ("reference", "reference_structure", "target")]
    ['target', 'structure', 'target']
    """
    return PHOTOGRAPH if name == EXEMPLAR else name.removeprefix(f"{EXEMPLAR}_")


def with_exemplars(provides: Collection[str]) -> frozenset[str]:
    """Return the fields that a source provides, and those of exemplars, which the host makes of them.

    A source with exemplars of its own gets no others: they would be of another sample.
    """
    if PHOTOGRAPH not in provides or any(map(is_exemplars, provides)):
        return frozenset(provides)
    return frozenset(provides) | {EXEMPLAR} | {f"{EXEMPLAR}_{name}" for name in set(provides) - {PHOTOGRAPH}}


def exemplar_fields(needs: Collection[str], provides: Collection[str]) -> frozenset[str]:
    """Return the fields that the host has to make of exemplars, given what is needed and what the source provides."""
    return frozenset(name for name in needs if is_exemplars(name)) - frozenset(provides)
