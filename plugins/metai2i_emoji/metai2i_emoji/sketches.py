"""`EmojiSketches`: emoji and drawings of them; a kind of thing is a task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from metai2i_sketches import ClassSpec, Drawing, ObjectClass, ObjectFiles, Objects

from metai2i import (
    SPLITS,
    Field,
    Share,
    Side,
    Split,
    TaskSpec,
    UserError,
    Whole,
    did_you_mean,
)
from metai2i.data import DomainSource, MemoryCache, Size, cached, check_drawing, expanded, fit_photo, refuse_twice
from metai2i_emoji.concepts import Concept, concepts
from metai2i_emoji.drawing import all_drawings, read_drawing
from metai2i_emoji.hands import LICENCES, Hand

READING = "1"
"""Changes when the same files would give other images or samples."""
KINDS = (
    "animal-mammal", "animal-bird", "animal-bug", "food-fruit", "food-vegetable", "food-prepared", "transport-ground",
    "place-building", "sky-weather", "clothing",
)  # fmt: skip
"""Kinds of things whose concepts look alike."""


class Strokes(Objects):
    """Reads emoji and the line drawings of them.

    Args:
        size: (height, width) of the images.
        cache: keeps them in memory.
    """

    def __init__(self, size: Size, cache: MemoryCache) -> None:
        super().__init__(size, cache, inverted=False)

    def drawing(self, drawing: Drawing) -> np.ndarray:
        """Return a line drawing: (H, W) uint8, black on white."""

        def read() -> np.ndarray:
            image = read_drawing(drawing.path, max(self.size)).convert("L")
            check_drawing(np.asarray(image), drawing.path)
            return fit_photo(image, self.size)[..., 0]

        how = ("emoji lines", READING, self.size)
        return self.cache.get(drawing, lambda: cached(drawing.path, how, read))


class EmojiSketches(DomainSource):
    """Emoji, and drawings of them in black on white: to make the emoji of a drawing. A kind of thing is a task.

    In training drawings are the emoji's own edges, made on the spot as EdgeGAN made them. What tests are other
    concepts, each by one hand, drawn in black lines by another one (OpenMoji's) that training never sees; `target` is
    the same concept. Fields are those of `sketches`, packages and terms those of `emoji`.

    Args:
        root: the folder of the packages; `~` is the home folder, a relative path starts at the current directory.
        hands: whose emoji are made.
        drawn: by what it is tested: the line drawings, or edges as in training.
        kinds: the kinds of things, as the packages call them.
        unseen: kinds that test and that training never sees.
        size: height and width of the images.
        val_share: the share of concepts that validate.
        test_share: the share of concepts that test.
        cache_mb: memory for decoded images, in MB.

    Raises:
        UserError: when packages are missing, there is no such kind, or a kind has no drawings where it needs some.
    """

    licences = LICENCES
    provides = frozenset({"structure", "target", "domain"})
    test_options = frozenset({"drawn", "unseen"})
    called = "emoji-sketches"
    reading = (READING,)
    fields: ClassVar[Mapping[str, Field]] = {"structure": Field("map", 1, drawn=True)}

    def __init__(
        self,
        *,
        root: Path,
        hands: tuple[Literal["twemoji", "noto", "fluent"], ...] = ("twemoji", "noto", "fluent"),
        drawn: Literal["lines", "edges"] = "lines",
        kinds: tuple[str, ...] = KINDS,
        unseen: tuple[str, ...] = (),
        size: tuple[Side, Side] = (64, 64),
        val_share: Share = 0.1,
        test_share: Share = 0.3,
        cache_mb: Whole = 512,
    ) -> None:
        if not hands or len(set(hands)) < len(hands):
            raise UserError(f"tasks.hands is {list(hands)}, expected one or more, each once")
        self.size, self.hands, folder = (size[0], size[1]), hands, expanded(root)
        by: tuple[Hand, ...] = (*hands, *(("lines",) if drawn == "lines" else ()))
        self._files = all_drawings(folder, by)
        known = [concept for concept in concepts(folder) if all(concept.code in self._files[hand] for hand in hands)]
        _check_kinds(known, kinds, unseen, folder)
        self.trains = tuple(kind for kind in kinds if kind not in unseen)
        if not self.trains:
            raise UserError("no kind trains: all of tasks.kinds are in tasks.unseen", where=folder)
        self.names = (*self.trains, *unseen)
        self._images = Strokes(self.size, MemoryCache(cache_mb * 2**20))
        every: dict[Split, list[ObjectClass]] = {}
        for split in SPLITS:
            some = [concept for concept in known if concept.split(val_share, test_share) == split]
            judged = unseen if split == "test" and unseen else self.trains
            scenes = [self._scene(split, kind, known if kind in unseen else some) for kind in judged]
            every[split] = [scene for scene in scenes if len(scene)]
            lacking = [kind for kind, scene in zip(judged, scenes, strict=True) if not len(scene)]
            if lacking and split != "val":
                what = f"the kind {lacking[0]!r} has no {split} drawings"
                raise UserError(what, where=folder, hint="leave it out of tasks.kinds, or change tasks.test_share")
        self.scenes = every

    def _scene(self, split: Split, kind: str, known: Sequence[Concept]) -> ObjectClass:
        """Return the emoji of a kind, where it trains by all hands, else each by one, so that no support shows what a
        query asks for; those that test have their line drawings.
        """
        lines = self._files.get("lines", {}) if split == "test" else {}
        some = [each for each in known if each.kind == kind and (split != "test" or not lines or each.code in lines)]
        chosen = {each: self.hands if split == "train" else (each.hand(self.hands),) for each in some}
        samples = [(ObjectFiles(self._files[hand][each.code]), each) for each in some for hand in chosen[each]]
        drawn = [Drawing(lines[each.code]) for _, each in samples] if lines else []
        number = self.names.index(kind)
        pairs = [pair for pair, _ in samples]
        return ObjectClass(f"{split}/{kind}", number, pairs, self._images, drawn, aligned=True)

    def spec(self) -> TaskSpec:
        """Return what sources of domains say, and which scenes train."""
        return ClassSpec.of(super().spec(), self.scenes["train"])


def _check_kinds(known: Sequence[Concept], kinds: Sequence[str], unseen: Sequence[str], root: Path) -> None:
    """Refuse kinds that there are not, or that are listed twice.

    Raises:
        UserError: with the nearest name.
    """
    there = Counter(concept.kind for concept in known)
    for option, names in (("kinds", kinds), ("unseen", unseen)):
        for name in names:
            if name not in there:
                what = f"tasks.{option}: there is no kind {name!r}"
                raise UserError(what, where=root, hint=did_you_mean(name, there))
        refuse_twice(f"tasks.{option}", names)
