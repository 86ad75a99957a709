"""`Twins`: folders of images by class, where images of one name show the same thing in the same place."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from metai2i import (
    NEW_DOMAIN,
    SPLITS,
    Count,
    Side,
    Split,
    TaskSpec,
    UserError,
    Whole,
    counted,
)
from metai2i.data import (
    DomainSource,
    MemoryCache,
    as_one_error,
    cached,
    evenly_chosen,
    expanded,
    failing,
    fit_photo,
    header,
    read_photograph,
    refuse_shared,
    size_in_words,
    split_parts,
)
from metai2i_domains.layouts import Tree, find_tree, in_order
from metai2i_domains.twin_scenes import TWIN_FIELDS, Masked, TwinScene, twin_kinds

log = logging.getLogger("metai2i")

READING = "1"
"""Changes when the same files would give other images or samples."""
MASK_ENDINGS = (".jpg", ".png")


class Twins(DomainSource):
    """Images of several classes, made of one latent each: what has one name in two classes has one layout. A class is a
    task.

    `root` is as GP-UNIT has images of BigGAN: Train/151_Chihuahua/7.jpg and Train/152_spaniel/7.jpg are twins, and
    Test/ has others. Masks lie in a folder beside it that is called the same with `_mask` at its end, under the same
    names: light where the object is. Photographs that have no twins may stand in a tree of their own; these train only.

    Classes are numbered in the order of their names, or of the numbers that all names begin with. Samples have
    `source`, its `domain` and `mask`, the same of a `twin`, and the source once more as `target`.

    Args:
        root: the folder to look in; `~` is the home folder, a relative path starts at the current directory.
        masks: the folder of the masks; the root's name with `_mask` when null.
        photographs: a folder of photographs without twins, train/CLASS/*.jpg; none when null.
        photograph_masks: the folder of their masks; with `_mask` when null.
        images: take at most so many names of twins of each part, evenly spaced, and photographs of each class (600 as
            published).
        size: height and width of the images.
        cache_mb: memory for decoded images, in MB.

    Raises:
        UserError: when there is no mask for an image, or one of another shape, there are fewer than two classes, no two
            images are twins, or an image trains and tests.
    """

    provides = TWIN_FIELDS
    called = "twins"

    def __init__(
        self,
        *,
        root: Path,
        masks: Path | None = None,
        photographs: Path | None = None,
        photograph_masks: Path | None = None,
        images: Count | None = None,
        size: tuple[Side, Side] = (256, 256),
        cache_mb: Whole = 1024,
    ) -> None:
        self.size, self._cache = (size[0], size[1]), MemoryCache(cache_mb * 2**20)
        self.reading = (READING, self.size)
        tree = find_tree(root)
        alone = None if photographs is None else find_tree(photographs)
        names = {*tree.domains, *(alone.domains if alone else ())}
        self.names = self.trains = tuple(in_order(names))
        if len(self.names) < 2:
            raise UserError(
                f"there is one class here, {self.names[0]!r}, and twins are of two or more",
                where=tree.root,
                hint="expected train/CLASS/NAME.jpg, with the same NAME in several classes",
            )
        beside = _masks_of(tree, masks, "masks")
        self.scenes: dict[Split, list[TwinScene]] = {
            split: self._twins(split, tree, beside, images) for split in SPLITS
        }
        for split in ("train", "test"):
            if not self.scenes[split]:
                what = f"there are no {split} images here that have a twin: an image of the same name in another class"
                raise UserError(what, where=tree.root, hint="expected Train/CLASS/NAME.jpg and Test/CLASS/NAME.jpg")
        if alone is not None:
            self.scenes["train"] += self._alone(alone, _masks_of(alone, photograph_masks, "photograph_masks"), images)
        self._check()

    def _check(self) -> None:
        """Refuse masks that are not of their image's shape, and images in two splits."""
        samples = {
            split: [(task.id, each) for task in tasks for each, _ in task.samples]
            for split, tasks in self.scenes.items()
        }
        bad = failing([image for some in samples.values() for _, image in some], _check_mask)
        if bad:
            raise as_one_error(list(bad.values()))
        photographs = {split: [(id, image.path) for id, image in some] for split, some in samples.items()}
        refuse_shared("twins", photographs, skip=False)

    def _twins(self, split: Split, tree: Tree, masks: Path, most: int | None) -> list[TwinScene]:
        """Return the scenes of images that have twins, and tell of those that have none."""
        classes = {name: _files(tree, name, split) for name in tree.domains}
        families = Counter(stem for files in classes.values() for stem in {path.stem for path in files})
        twins = in_order(stem for stem, count in families.items() if count > 1)
        single = len(families) - len(twins)
        taken = set(evenly_chosen(twins, most))
        images = {
            name: self._masked(name, [path for path in files if path.stem in taken], tree, masks)
            for name, files in classes.items()
        }
        by_name: dict[str, list[Masked]] = defaultdict(list)
        for image in chain.from_iterable(images.values()):
            by_name[image.path.stem].append(image)
        if single and twins:
            log.warning("twins: left out %s of the split %s that have no twin", counted(single, "image"), split)
        return [
            self._scene(f"{split}/{name}", [(image, _others(image, by_name[image.path.stem])) for image in some])
            for name, some in images.items()
            if some
        ]

    def _alone(self, tree: Tree, masks: Path, most: int | None) -> list[TwinScene]:
        """Return scenes of photographs that have no twins."""
        files = {name: evenly_chosen(_files(tree, name, "train"), most) for name in tree.domains}
        classes = {name: self._masked(name, files[name], tree, masks) for name in files}
        return [
            self._scene(f"train/{name} (photographs)", [(image, ()) for image in images])
            for name, images in classes.items()
            if images
        ]

    def _scene(self, id: str, samples: Sequence[tuple[Masked, tuple[Masked, ...]]]) -> TwinScene:
        return TwinScene(id, samples, self._read, reading=f"twins {READING} {self.size}")

    def _masked(self, name: str, files: Sequence[Path], tree: Tree, masks: Path) -> list[Masked]:
        """Return images of a class with their masks."""
        return [Masked(path, self.names.index(name), _mask_of(path, tree.root, masks)) for path in files]

    def _read(self, image: Masked) -> np.ndarray:
        def read() -> np.ndarray:
            assert image.mask is not None
            return np.concatenate([self._fitted(image.path), self._fitted(image.mask)[..., 1:2]], 2)  # of grey levels

        return self._cache.get(image, read)

    def _fitted(self, path: Path) -> np.ndarray:
        """Return the image in a file, (H, W, 3) uint8."""
        return cached(path, ("twins", READING, self.size), lambda: fit_photo(read_photograph(path), self.size))

    def spec(self) -> TaskSpec:
        """Return the size, the names of the classes, and what the fields are."""
        spec = super().spec()
        return replace(spec, also={**spec.also, **twin_kinds((*self.names, NEW_DOMAIN))})


def _files(tree: Tree, name: str, split: Split) -> Sequence[Path]:
    """Return the images of a class that are for a split; without a `test`, `val` tests and nothing validates."""
    return split_parts(tree.domains[name], 0.0, lambda path: path).get(split, ())


def _others(image: Masked, family: Sequence[Masked]) -> tuple[Masked, ...]:
    """Return the twins of an image, of all that have its name."""
    return tuple(each for each in family if each.number != image.number)


def _check_mask(image: Masked) -> None:
    """Refuse a mask that has not the shape of its image: each is cut to its middle."""
    assert image.mask is not None
    (width, height), (across, down) = header(image.path).size, header(image.mask).size
    if width * down != height * across:
        what = f"the mask is {size_in_words((across, down))}, its image {image.path} {size_in_words((width, height))}"
        raise UserError(f"{what} (width x height)", where=image.mask, hint="give it the shape of its image")


def _masks_of(tree: Tree, masks: Path | None, option: str) -> Path:
    """Return the folder of the masks of a tree.

    Raises:
        UserError: when it is not there.
    """
    folder = tree.root.with_name(f"{tree.root.name}_mask") if masks is None else expanded(masks)
    if not folder.is_dir():
        what = "there is no folder of masks for these images"
        raise UserError(f"{what}: expected {folder}", where=tree.root, hint=f"tasks.{option} names another")
    return folder


def _mask_of(path: Path, root: Path, masks: Path) -> Path:
    """Return the mask of an image.

    Raises:
        UserError: when there is none.
    """
    place = masks / path.relative_to(root)
    for ending in (*MASK_ENDINGS, path.suffix):
        if (mask := place.with_suffix(ending)).is_file():
            return mask
    raise UserError(f"the image has no mask; expected {place.with_suffix(MASK_ENDINGS[0])}", where=path)
