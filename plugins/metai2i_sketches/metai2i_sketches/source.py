"""`Sketches`: drawings of objects and their photographs; a class of objects is a task."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch
from metai2i_domains import Part

from metai2i import (
    SPLITS,
    Batch,
    Count,
    Episode,
    Field,
    Randomness,
    Share,
    Side,
    Split,
    Task,
    TaskSpec,
    UserError,
    Whole,
    counted,
    did_you_mean,
)
from metai2i.data import (
    DomainSource,
    MemoryCache,
    as_one_error,
    content_digests,
    evenly_chosen,
    expanded,
    failing,
    refuse_in_two_domains,
    refuse_shared,
    split_parts,
    tell_left_out,
)
from metai2i_sketches.drawings import Drawing, find_drawings
from metai2i_sketches.objects import Layout, ObjectFiles, Objects, find_objects
from metai2i_sketches.recognition import ClassSpec

if TYPE_CHECKING:
    from metai2i import Augment

log = logging.getLogger("metai2i")

Pairs = Mapping[Split, Sequence[ObjectFiles]]


class ObjectClass(Task):
    """Photographs of objects of one class with their drawings, black on white.

    Args:
        id: the scene's.
        number: of the class.
        pairs: the files of each photograph.
        images: reads them.
        drawings: drawings by hand, which queries have in the place of their own; their photographs then are others of
            the class, drawn by chance. A support keeps its own.
        aligned: whether there is a drawing for each photograph, in their order, which its query then has.
    """

    def __init__(
        self,
        id: str,
        number: int,
        pairs: Sequence[ObjectFiles],
        images: Objects,
        drawings: Sequence[Drawing] = (),
        *,
        aligned: bool = False,
    ) -> None:
        self.aligned = aligned
        self.id, self.number, self.pairs, self.images = id, number, tuple(pairs), images
        self.drawings = tuple(drawings)

    def __len__(self) -> int:
        return len(self.pairs)

    def load(self, indices: Sequence[int]) -> Batch:
        """Return `structure` (N, 1, H, W) in [0, 1], 1 where the paper is white, `target` (N, 3, H, W) in [-1, 1] and
        `domain` (N,), the class.

        Raises:
            UserError: naming the file, for an image that cannot be read or a drawing that is none.
        """
        pairs = [self.pairs[int(index)] for index in indices]
        photos = torch.from_numpy(np.stack([self.images.photo(pair) for pair in pairs])).permute(0, 3, 1, 2)
        return Batch(
            structure=_maps([self.images.edges(pair) for pair in pairs]),
            target=photos.to(torch.float32).div_(127.5).sub_(1.0).contiguous(),
            domain=torch.full((len(pairs),), self.number),
        )

    def episode(self, shots: int, queries: int, rng: Randomness, augment: Augment | None = None) -> Episode:
        """Draw `shots` support and `queries` query samples, disjoint; drawings by hand for queries where there are any.

        Raises:
            UserError: when there are fewer than `shots + queries`.
        """
        episode = super().episode(shots, queries, rng, augment)
        if not self.drawings:
            return episode
        order = torch.randperm(len(self.drawings), generator=rng.at("drawing").generator()).tolist()
        if self.aligned:
            order = _shuffled(len(self), rng)
        chosen = [self.drawings[order[n % len(order)]] for n in range(queries)]
        drawn = _maps([self.images.drawing(drawing) for drawing in chosen])
        return replace(episode, query=episode.query.replace(structure=drawn))

    def real(self, shots: int, rng: Randomness, count: int | None = None) -> Batch | None:
        """Return the photographs that are not in the support that `episode` draws at the same address."""
        if len(self) <= shots:
            return None
        return self.load(_shuffled(len(self), rng)[: len(self) - shots][:count])

    @property
    def files(self) -> Sequence[Path]:
        """Return the files of all pairs, the photograph first."""
        return [path for pair in self.pairs for path in pair.files]

    def fingerprint(self) -> str:
        """Return names and contents of all files, how they are read, and which drawings are taken."""
        files = [*self.files, *(drawing.path for drawing in self.drawings)]
        which = [(drawing.path.name, drawing.place) for drawing in self.drawings]
        names = [path.name for path in self.files]
        return repr((self.number, self.images.reading, names, which, content_digests(files)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r}, {len(self)} photographs)"


def _shuffled(count: int, rng: Randomness) -> list[int]:
    """Return the places of samples in the order that episodes are drawn from, queries first."""
    order: list[int] = torch.randperm(count, generator=rng.at("episode").generator()).tolist()
    return order


def _maps(drawings: Sequence[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(drawings))[:, None].to(torch.float32).div_(255)


class Sketches(DomainSource):
    """Drawings of objects, black on white, and their photographs: to make the photograph of a drawing. A class of
    objects is a task.

    `structure` is a continuous map of one channel, 1 where the paper is white; `domain` is the class. The layouts,
    recognised by what lies in `root`:

    - EdgeGAN's: train/N/*.png and test/N/*.png of 128x64, edges left and photograph right;
    - SketchyCOCO's: Object/{GT,Sketch,Edge}/{train,val}/ID/*.png, of which the edges train and the sketches test;
    - photographs: train/CLASS/*.jpg and test/CLASS/*.jpg, or any layout of `domains`: their edges are made on the spot
      as EdgeGAN made them (XDoG). Photographs that are cut out are put on white.

    Drawings by hand may test in the place of edges (`sketches`): queries then have a drawing and any photograph of its
    class, so that metrics of single images mean nothing, and those of sets do. A support keeps edges.

    Args:
        root: the folder to look in; `~` is the home folder, a relative path starts at the current directory.
        layout: which of the layouts it has; null for what it looks like.
        drawn: which of SketchyCOCO's drawings tests.
        sketches: a folder of drawings by hand: for each class images (CLASS/*.png), strokes as QuickDraw has them
            (CLASS.ndjson), or its bitmaps of 28x28 (CLASS.npy).
        drawings: take at most so many drawings by hand of each class, evenly spaced.
        inverted: whether drawings in images are white on black.
        classes: take these classes only; all when empty. Those that are neither `val` nor `unseen` train.
        val: classes that validate and do not train.
        unseen: classes that test and that training never sees.
        size: height and width of the images.
        images: take at most so many photographs of each class and part, evenly spaced.
        test_share: the share of photographs that test, where folders have no parts.
        on_bad_file: what to do about files that are missing, damaged or no drawings: "error" stops, at once for what
            headers tell and for drawings by hand, else when the file is read; "skip" reads every file at the start,
            leaves bad ones out and lists them in the log.
        cache_mb: memory for decoded images, in MB.

    Raises:
        UserError: when there are no classes to train on, a class has no photographs where it needs some, a drawing is
            empty or white on black, a photograph is in two splits, or files are bad.
    """

    provides = frozenset({"structure", "target", "domain"})
    test_options = frozenset({"sketches", "drawings", "drawn", "unseen"})
    called = "sketches"
    fields: ClassVar[Mapping[str, Field]] = {"structure": Field("map", 1, drawn=True)}

    def __init__(
        self,
        *,
        root: Path,
        layout: Layout | None = None,
        drawn: Literal["sketch", "edge"] = "sketch",
        sketches: Path | None = None,
        drawings: Count = 200,
        inverted: bool = False,
        classes: tuple[str, ...] = (),
        val: tuple[str, ...] = (),
        unseen: tuple[str, ...] = (),
        size: tuple[Side, Side] = (64, 64),
        images: Count | None = None,
        test_share: Share = 0.2,
        on_bad_file: Literal["error", "skip"] = "error",
        cache_mb: Whole = 1024,
    ) -> None:
        self.size, skip = (size[0], size[1]), on_bad_file == "skip"
        folder = expanded(root)
        self.layout, tree, known = find_objects(folder, layout, drawn, (*val, *unseen))
        self.reading = (self.layout,)
        names = _chosen(known, classes, val, unseen, folder)
        self.trains = tuple(name for name in names if name not in (*val, *unseen))
        self.names = (*self.trains, *val, *unseen)
        self._images = Objects(self.size, MemoryCache(cache_mb * 2**20), inverted=inverted)
        pairs: Mapping[str, Pairs] = {
            name: _by_split(name, known[name], self.trains, val, test_share, images) for name in self.names
        }
        pairs = self._without_bad(pairs, skip=skip)
        by_hand = {} if sketches is None else self._by_hand(expanded(sketches), drawings, classes, skip=skip)
        judged: dict[Split, Sequence[str]] = {
            "train": self.trains,
            "val": val or [name for name in self.trains if pairs[name].get("val")],
            "test": [name for name in (unseen or self.trains) if name in by_hand or sketches is None],
        }
        without = [name for name in (unseen or self.trains) if name not in judged["test"]]
        if without and judged["test"]:
            log.warning("sketches: there are no drawings of %s, which do not test", ", ".join(without))
        if not judged["test"]:
            what = f"there are drawings of {', '.join(by_hand)}, and none of a class that tests"
            raise UserError(what, where=sketches, hint=f"those are {', '.join(unseen or self.trains)}")
        self.scenes = {
            split: [
                ObjectClass(
                    f"{split}/{name}",
                    self.names.index(name),
                    _some(name, split, pairs[name], tree.root),
                    self._images,
                    by_hand.get(name, ()) if split == "test" else (),
                )
                for name in judged[split]
            ]
            for split in SPLITS
        }

    def _without_bad(self, pairs: Mapping[str, Pairs], *, skip: bool) -> dict[str, Pairs]:
        """Return pairs that can be read and whose photograph is in no other split."""

        def whole(pair: ObjectFiles) -> None:
            pair.check()
            self._images.photo(pair)
            self._images.edges(pair)

        every = [pair for each in pairs.values() for some in each.values() for pair in some]
        bad = failing(every, whole if skip else ObjectFiles.check)
        if bad and not skip:
            raise as_one_error(list(bad.values()))
        tell_left_out("sketches", list(bad.values()), len(every))
        kinds = {
            name: [pair.photo for some in by_split.values() for pair in some if pair not in bad]
            for name, by_split in pairs.items()
        }
        away = refuse_in_two_domains("sketches", kinds, skip=skip)
        splits: dict[Split, list[tuple[str, Path]]] = {split: [] for split in SPLITS}
        for name, each in pairs.items():
            for split, some in each.items():
                splits[split] += [(name, p.photo) for p in some if p not in bad and p.photo not in away]
        away |= refuse_shared("sketches", splits, skip=skip)
        return {
            name: {split: [p for p in some if p not in bad and p.photo not in away] for split, some in each.items()}
            for name, each in pairs.items()
        }

    def _by_hand(self, folder: Path, most: int, classes: Sequence[str], *, skip: bool) -> dict[str, list[Drawing]]:
        """Return the drawings by hand of each class that can be read.

        Raises:
            UserError: for drawings of which there are no photographs, unless classes were chosen; and for bad ones.
        """
        drawings = find_drawings(folder, most)
        strange = [name for name in drawings if name not in self.names]
        if strange and not classes:
            more = "" if len(strange) == 1 else f" (and of {', '.join(strange[1:])})"
            raise UserError(
                f"there are drawings of the class {strange[0]!r}{more}, and no photographs",
                where=folder,
                hint=f"{did_you_mean(strange[0], self.names)}; tasks.classes names those that are taken",
            )
        taken = {name: drawings[name] for name in drawings if name in self.names}
        every = [drawing for some in taken.values() for drawing in some]
        bad = failing(every, self._images.drawing)
        if bad and not skip:
            raise as_one_error(list(bad.values()))
        tell_left_out("sketches", list(bad.values()), len(every), "drawings")
        good = {name: [drawing for drawing in some if drawing not in bad] for name, some in taken.items()}
        return {name: some for name, some in good.items() if some}

    def spec(self) -> TaskSpec:
        """Return what sources of domains say, and which scenes train."""
        return ClassSpec.of(super().spec(), self.scenes["train"])


def _chosen(
    known: Mapping[str, object], classes: Sequence[str], val: Sequence[str], unseen: Sequence[str], root: Path
) -> list[str]:
    """Return the classes that are taken, in their order.

    Raises:
        UserError: for a class of which there are no photographs, or that is listed twice, and when none trains.
    """
    for option, names in (("classes", classes), ("val", val), ("unseen", unseen)):
        for name in names:
            if name not in known:
                what = f"tasks.{option}: there are no photographs of the class {name!r}"
                raise UserError(what, where=root, hint=did_you_mean(name, known))
    late = [*val, *unseen]
    twice = next((name for name in late if late.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"the class {twice!r} is given twice in tasks.val and tasks.unseen")
    chosen = [name for name in known if not classes or name in classes or name in late]
    if all(name in late for name in chosen):
        raise UserError("no class trains: all are in tasks.val or tasks.unseen", where=root)
    return chosen


def _by_split(
    name: str,
    parts: Mapping[Part, Sequence[ObjectFiles]],
    trains: Sequence[str],
    val: Sequence[str],
    test_share: float,
    most: int | None,
) -> Pairs:
    """Return the pairs of a class by what they are for."""
    taken: dict[Part, list[ObjectFiles]] = {part: list(evenly_chosen(pairs, most)) for part, pairs in parts.items()}
    if name not in trains:
        split: Split = "val" if name in val else "test"
        return {split: [pair for pairs in taken.values() for pair in pairs]}
    return split_parts(taken, test_share, lambda pair: pair.photo)


def _some(name: str, split: Split, pairs: Pairs, root: Path) -> Sequence[ObjectFiles]:
    """Return the pairs of a class in a split.

    Raises:
        UserError: when there are none.
    """
    some = pairs.get(split, ())
    if not some:
        there = ", ".join(f"{counted(len(each), 'photograph')} in {part}" for part, each in pairs.items())
        what = f"the class {name!r} has no photographs in the split {split}, only {there}"
        raise UserError(what, where=root, hint="tasks.classes leaves it out, tasks.unseen keeps it out of training")
    return some
