"""`EmojiTwins`: the same concept drawn by two hands, as twins by which content is told from look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from metai2i_domains import TWIN_FIELDS, Masked, TwinScene, twin_kinds

from metai2i import (
    NEW_DOMAIN,
    SPLITS,
    Share,
    Side,
    Split,
    Task,
    TaskSpec,
    UserError,
    Whole,
    counted,
)
from metai2i.data import DomainSource, MemoryCache, cached, expanded, fit_photo
from metai2i_emoji.concepts import Concept, concepts
from metai2i_emoji.drawing import all_drawings, read_cover, read_drawing
from metai2i_emoji.hands import LICENCES, Hand
from metai2i_emoji.source import check_hands, check_shares, chosen, hands_that_test

READING = "1"
"""Changes when the same files would give other images or samples."""


class EmojiTwins(DomainSource):
    """The same concept drawn by different hands: twins, whose content is one and whose look is not. A hand is a task.

    A sample is a drawing, as `source`, with its hand as `domain` and the `mask` of what is drawn, and the same of its
    `twin`: the concept by another of the hands that train. In training all hands are seen of each concept. Concepts
    that test are never seen in training, and where hands are unseen, the drawings that test are theirs. Masks are what
    is not transparent in a drawing. `target` is the source once more.

    The drawings, the choice of concepts and the terms are those of `emoji`.

    Args:
        root: the folder of the packages; `~` is the home folder, a relative path starts at the current directory.
        hands: those that train: twemoji, noto, fluent, openmoji, lines (OpenMoji's in black).
        unseen: hands that training never sees: they test.
        test: which hands test: those that training has seen or those that it has not; the latter when null, if there
            are any.
        categories: concepts of these categories only, such as animals-nature; all but flags when empty.
        size: height and width of the images.
        trim: cut the margins of each drawing, so that all hands draw as large; OpenMoji leaves the widest.
        val_share: the share of concepts that validate.
        test_share: the share of concepts that test.
        cache_mb: memory for decoded images, in MB.

    Raises:
        UserError: when packages are missing, a hand is given twice, there are fewer than two hands that train, or a
            hand has no twins.
    """

    licences = LICENCES
    provides = TWIN_FIELDS
    test_options = frozenset({"unseen", "test"})
    called = "emoji-twins"

    def __init__(
        self,
        *,
        root: Path,
        hands: tuple[Hand, ...] = ("twemoji", "noto", "fluent"),
        unseen: tuple[Hand, ...] = (),
        test: Literal["seen", "unseen"] | None = None,
        categories: tuple[str, ...] = (),
        size: tuple[Side, Side] = (64, 64),
        trim: bool = False,
        val_share: Share = 0.1,
        test_share: Share = 0.2,
        cache_mb: Whole = 512,
    ) -> None:
        check_hands(hands, unseen, test)
        check_shares(val_share, test_share)
        self.size, self.hands, self.trains = (size[0], size[1]), hands, hands
        self.names, self.trim = (*hands, *unseen), trim
        self.reading = (f"{READING} trimmed" if trim else READING, self.size)
        folder = expanded(root)
        self._drawings = all_drawings(folder, (*hands, *unseen))
        self._cache = MemoryCache(cache_mb * 2**20)
        known = chosen(concepts(folder), categories, folder)
        late = hands_that_test(hands, unseen, test)
        self.scenes: dict[Split, list[Task]] = {}
        for split in SPLITS:
            some = [each for each in known if each.split(val_share, test_share) == split]
            scenes = [self._scene(split, hand, some) for hand in (late if split == "test" else hands)]
            self.scenes[split] = [scene for scene in scenes if len(scene)]
            lacking = [scene.id for scene in scenes if not len(scene)]
            if lacking and split != "val":
                what = f"{lacking[0]} has no concept that another hand has drawn: {counted(len(some), 'concept')}"
                raise UserError(what, where=folder, hint="other shares, or more categories")

    def _scene(self, split: Split, hand: Hand, known: Sequence[Concept]) -> TwinScene:
        """Return the drawings of a hand with those of the others that train."""
        files, others = self._drawings[hand], [other for other in self.hands if other != hand]
        pairs = [
            (self._drawing(hand, each), tuple(self._drawing(other, each) for other in others if self._has(other, each)))
            for each in known
            if each.code in files
        ]
        samples = [(drawing, twins) for drawing, twins in pairs if twins]
        return TwinScene(f"{split}/{hand}", samples, self._read, reading=f"emoji twins {self.reading[0]} {self.size}")

    def _has(self, hand: Hand, concept: Concept) -> bool:
        return concept.code in self._drawings[hand]

    def _drawing(self, hand: Hand, concept: Concept) -> Masked:
        return Masked(self._drawings[hand][concept.code], self.names.index(hand))

    def _read(self, drawing: Masked) -> np.ndarray:
        side, path = max(self.size), drawing.path

        def both() -> np.ndarray:
            photo, cover = (read(path, side, trim=self.trim) for read in (read_drawing, read_cover))
            return np.concatenate([fit_photo(photo, self.size), fit_photo(cover, self.size)[..., :1]], 2)

        return self._cache.get(path, lambda: cached(path, ("emoji twins", *self.reading), both))

    def spec(self) -> TaskSpec:
        """Return how many hands train, the names of all, and what the fields are."""
        spec = super().spec()
        return replace(spec, also={**spec.also, **twin_kinds((*self.names, NEW_DOMAIN))})
