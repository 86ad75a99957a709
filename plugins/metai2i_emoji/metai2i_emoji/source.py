"""`Emoji`: the same things drawn by different hands; to draw as another hand does is a task."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from metai2i import (
    SPLITS,
    Field,
    Share,
    Side,
    Split,
    Task,
    UserError,
    Whole,
    counted,
    did_you_mean,
)
from metai2i.data import DomainSource, KeptPhotographs, MemoryCache, Pool, UnpairedScene, expanded
from metai2i_emoji.concepts import Concept, categories, concepts
from metai2i_emoji.drawing import all_drawings, reader
from metai2i_emoji.hands import LICENCES, Hand, code_of

log = logging.getLogger("metai2i")

READING = "1"
"""Changes when the same files would give other images or samples."""


class Emoji(DomainSource):
    """Emoji of different hands (Twitter's, Google's, Microsoft's, OpenMoji's), on white, without pairs; to draw as
    another hand does is a task.

    Samples are as those of `domains`, with the hands as domains: `source` and `domain`, `reference`, `reference2` and
    `reference_domain`. In training no concept is seen in two hands. Concepts that test are never seen in training; half
    of them are inputs, the others show how the hand draws. Of an input the hand's own drawing is known: it is the
    `target` of a query, by which outputs are scored and which no translator is shown. Everywhere else `target` is the
    reference.

    The drawings are those of packages of npm, which lie unpacked in `root`; where they are missing the message says by
    which commands they are fetched. Their terms: Twemoji CC BY 4.0, Noto Apache 2.0, Fluent MIT, OpenMoji CC BY-SA 4.0.

    Args:
        root: the folder of the packages; `~` is the home folder, a relative path starts at the current directory.
        hands: those that train: twemoji, noto, fluent, openmoji, lines (OpenMoji's in black).
        unseen: hands that training never sees: they test.
        each: what a task is: to draw as a hand, a pair of hands in their order, or a hand and a category of concepts.
        test: which hands test: those that training has seen or those that it has not; the latter when null, if there
            are any.
        references: draw as these hands only; as all when empty.
        categories: concepts of these categories only, such as animals-nature; all but flags when empty.
        itself: whether inputs of plain training may be by the very hand as which is drawn, as StarGAN v2 has it.
        size: height and width of the images.
        trim: cut the margins of each drawing, so that all hands draw as large; OpenMoji leaves the widest.
        val_share: the share of concepts that validate.
        test_share: the share of concepts that test.
        cache_mb: memory for decoded images, in MB.

    Raises:
        UserError: when packages are missing, a hand is given twice, there are fewer than two hands that train, or
            a hand has too few drawings.
    """

    licences = LICENCES
    provides = frozenset({"source", "domain", "reference", "reference2", "reference_domain", "target"})
    test_options = frozenset({"unseen", "test"})
    called = "emoji"
    fields: ClassVar[Mapping[str, Field]] = {"reference2": Field("photo")}

    def __init__(
        self,
        *,
        root: Path,
        hands: tuple[Hand, ...] = ("twemoji", "noto", "fluent"),
        unseen: tuple[Hand, ...] = (),
        each: Literal["hand", "pair", "category"] = "hand",
        test: Literal["seen", "unseen"] | None = None,
        references: tuple[Hand, ...] = (),
        categories: tuple[str, ...] = (),
        itself: bool = False,
        size: tuple[Side, Side] = (64, 64),
        trim: bool = False,
        val_share: Share = 0.1,
        test_share: Share = 0.2,
        cache_mb: Whole = 512,
    ) -> None:
        check_hands(hands, unseen, test)
        check_shares(val_share, test_share)
        self.size, self.each, self.itself = (size[0], size[1]), each, itself
        self.hands, self.trains, self.names = hands, hands, (*hands, *unseen)
        reading = f"{READING} trimmed" if trim else READING
        self.reading = (reading, self.size)
        folder = expanded(root)
        self._drawings = all_drawings(folder, (*hands, *unseen))
        cache = MemoryCache(cache_mb * 2**20)
        self._read = KeptPhotographs("emoji", self.size, cache, reading, reader(self.size, trim=trim))
        known = [
            concept
            for concept in chosen(concepts(folder), categories, folder)
            if all(concept.code in self._drawings[hand] for hand in hands)
        ]
        splits = {split: [each for each in known if each.split(val_share, test_share) == split] for split in SPLITS}
        late = hands_that_test(hands, unseen, test)
        judged: Mapping[Split, Sequence[Hand]] = {"train": hands, "val": hands, "test": late}
        into = {split: [hand for hand in judged[split] if not references or hand in references] for split in SPLITS}
        if empty := [split for split in SPLITS if not into[split]]:
            what = f"there is no hand to draw as in the split {empty[0]}: tasks.references has none of its hands"
            raise UserError(what, hint=f"tasks.references: [{judged[empty[0]][0]}]")
        self.scenes = {split: self._all(split, into[split], splits[split]) for split in SPLITS}
        for split in ("train", "test"):
            if not self.scenes[split]:
                raise UserError(
                    f"no {split} scene has two drawings by its hand and an input: {len(splits[split])} concepts",
                    where=folder,
                    hint="other shares, more categories, or each: hand",
                )

    def _all(self, split: Split, targets: Sequence[Hand], known: Sequence[Concept]) -> list[Task]:
        """Return the scenes of a split."""
        groups = [("", known)]
        if self.each == "category":
            groups = [(f"/{name}", [each for each in known if each.category == name]) for name in categories(known)]
        scenes: list[Task] = []
        small = []
        for hand in targets:
            for name, some in groups:
                scene_list = self._into(split, hand, name, some)
                scenes += scene_list
                small += [] if scene_list else [f"{hand}{name}"]
        if small and known:
            log.warning("emoji: left out %d %s scenes with too few drawings: %s", len(small), split, ", ".join(small))
        return scenes

    def _into(self, split: Split, hand: Hand, name: str, known: Sequence[Concept]) -> list[Task]:
        """Return the scenes of drawing concepts as a hand does; none where there are too few."""
        if split != "train":  # of each input the right output is known
            known = [each for each in known if each.code in self._drawings[hand]]
        target = self._pool(hand, _shown(split, hand, self.hands, known))
        others = [other for other in self.hands if other != hand]
        by = None if self.each == "pair" else others
        inputs = {other: self._pool(other, _inputs(split, other, self.hands, known, by)) for other in others}
        inputs = {other: pool for other, pool in inputs.items() if pool.files}
        fewest = 1 if split == "train" else 2
        if len(target.files) < 2 or not inputs or sum(len(pool.files) for pool in inputs.values()) < fewest:
            return []
        groups = [("", list(inputs.values()))]
        if self.each == "pair":
            groups = [(f"{other}-to-", [pool]) for other, pool in inputs.items()]
        itself = [target] if self.itself and split == "train" and self.each != "pair" else []
        return [
            UnpairedScene(
                f"{split}/{prefix}{hand}{name}",
                target if split == "train" else _no_more(target, pools),
                pools,
                self._read,
                reading=f"emoji {self.reading[0]} {self.size}",
                of_support=split != "train",
                drawn=[*pools, *itself],
                truths={} if split == "train" else self._truths(hand, pools),
                labels=self._labels([target, *pools]),
            )
            for prefix, pools in groups
        ]

    def _pool(self, hand: Hand, known: Sequence[Concept]) -> Pool:
        files = self._drawings[hand]
        return Pool(self.names.index(hand), tuple(files[each.code] for each in known if each.code in files))

    def _truths(self, hand: Hand, pools: Sequence[Pool]) -> dict[Path, Path]:
        """Return the hand's own drawing of each input."""
        right = self._drawings[hand]
        return {path: right[code_of(path.stem)] for pool in pools for path in pool.files}

    def _labels(self, pools: Sequence[Pool]) -> Mapping[Path, int] | None:
        """Return a label for each drawing; None for none."""
        return None


def _no_more(target: Pool, inputs: Sequence[Pool]) -> Pool:
    """Return as many photographs as there are inputs, so that none is the input of two samples."""
    return Pool(target.domain, target.files[: sum(len(pool.files) for pool in inputs)])


def _shown(split: Split, hand: Hand, hands: Sequence[Hand], known: Sequence[Concept]) -> list[Concept]:
    """Return the concepts by which it is shown how a hand draws."""
    if split == "train":
        return [each for each in known if each.hand(hands) == hand]
    return [each for each in known if not each.is_input]


def _inputs(
    split: Split, hand: Hand, hands: Sequence[Hand], known: Sequence[Concept], by: Sequence[Hand] | None
) -> list[Concept]:
    """Return the concepts whose drawings by a hand are inputs.

    Args:
        by: the hands of which a concept that is judged on is an input by one; None where it is by each.
    """
    if split == "train":
        return _shown(split, hand, hands, known)
    return [each for each in known if each.is_input and (by is None or each.hand(by) == hand)]


def check_shares(val: float, test: float) -> None:
    """Refuse shares of concepts that leave nothing to train on.

    Raises:
        UserError: with both.
    """
    if val + test >= 1:
        what = f"tasks.val_share and tasks.test_share leave nothing to train on: {val:g} and {test:g}"
        raise UserError(what, hint="expected less than 1 together")


def check_hands(hands: Sequence[Hand], unseen: Sequence[Hand], test: str | None) -> None:
    """Refuse hands that are given twice, fewer than two to train on, and a test on unseen hands where none is.

    Raises:
        UserError: naming them.
    """
    every = [*hands, *unseen]
    twice = next((hand for hand in every if every.count(hand) > 1), None)
    if twice is not None:
        where = (
            "tasks.hands and tasks.unseen" if twice in hands and twice in unseen else "one of tasks.hands and unseen"
        )
        raise UserError(f"the hand {twice!r} is given twice, in {where}", hint="a hand trains, or it is unseen")
    if len(hands) < 2:
        raise UserError(
            f"tasks.hands has {counted(len(hands), 'hand')}, expected two or more", hint="such as [twemoji, noto]"
        )
    if test == "unseen" and not unseen:
        raise UserError("tasks.test is 'unseen', but no hand is", hint="tasks.unseen names some")


def hands_that_test(hands: tuple[Hand, ...], unseen: tuple[Hand, ...], test: str | None) -> tuple[Hand, ...]:
    """Return the hands that test: unseen ones where it says so or nothing and there are any, else those that train."""
    return unseen if test == "unseen" or (test is None and unseen) else hands


def chosen(known: Sequence[Concept], names: Sequence[str], root: Path) -> list[Concept]:
    """Return the concepts of some categories; of all when there are no names.

    Raises:
        UserError: for a category that there is not.
    """
    there = categories(known)
    for name in names:
        if name not in there:
            what = f"tasks.categories: there is no category {name!r}"
            raise UserError(what, where=root, hint=did_you_mean(name, there))
    return [each for each in known if not names or each.category in names]
