"""`Pairs`: photographs of the user's own with their maps, a folder for each scene."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

from metai2i import SPLITS, Count, Side, Split, Task, TaskSource, TaskSpec, UserError, Whole, counted
from metai2i.data import (
    MemoryCache,
    PairFiles,
    as_one_error,
    check_view,
    evenly_chosen,
    failing,
    files_digest,
    refuse_shared,
    tell_left_out,
)
from metai2i_pairs.classes import CLASSES, Classes, no_classes, read_classes
from metai2i_pairs.folders import SceneFiles, Tree, find_tree
from metai2i_pairs.images import COLOURS, Images, Scene

log = logging.getLogger("metai2i")


class Pairs(TaskSource):
    """Photographs of your own with their maps, a folder for each scene::

        DIR/classes.txt
        DIR/train/SCENE/NAME.jpg   DIR/train/SCENE/NAME.png
        DIR/test/SCENE/...         DIR/val/SCENE/...

    A scene is what a model is adapted to: a person, a street, a room. In its folder, pairs are NAME.jpg beside
    NAME.png, NAME.jpg or NAME.png beside NAME_map.png, or photos/NAME.jpg and maps/NAME.png. Where pairs lie right in
    train/ or test/, without folders of scenes, `neighbours` successive ones make a scene.

    Maps are PNG files of class ids (grey or palette), or of the classes' colours. classes.txt has a line for each
    class: its name, then its colour where maps have colours (`traffic light 250 170 30`). Ids are 0, 1, 2 in the order
    of the lines, unless each line begins with its own (`7 road`).

    With `maps: images` they are images themselves (edges, a sketch, the same view by day), .jpg or .png like
    photographs, and there is no classes.txt.

    Images are resized to cover `size` with their aspect kept (photographs by Lanczos, label maps by the nearest pixel),
    and the middle is cut out. A photograph and its map must have one aspect.

    Args:
        root: the folder; `~` is the home folder, a relative path starts at the current directory.
        maps: what the maps are: label maps, or images.
        size: height and width of the images.
        neighbours: successive pairs that make a scene where there are no folders of scenes. Those left over at the end
            make one of their own.
        val: so many training scenes, evenly spaced, validate and do not train; with 0 those in val/ do, if any.
        train_tasks: take at most so many training scenes, evenly spaced.
        test_tasks: take at most so many test scenes, evenly spaced.
        pairs: take at most so many pairs of each scene, evenly spaced.
        on_bad_file: what to do about files that are missing, damaged or at odds with each other: "error" stops, at
            once for what names and headers tell, else when the file is read; "skip" reads every file at the start,
            leaves bad pairs (and scenes without a good one) out and lists them in the log.
        cache_mb: memory for decoded images, in MB.

    Raises:
        UserError: when there are no scenes to train or to test on; when classes.txt is missing or not as it should be;
            when files are bad and `on_bad_file` is "error"; when two scenes have one name or one folder, or a
            photograph is in two splits.
    """

    test_options = frozenset({"test_tasks"})

    def __init__(
        self,
        *,
        root: Path,
        maps: Literal["classes", "images"] = "classes",
        size: tuple[Side, Side] = (128, 128),
        neighbours: Count = 10,
        val: Whole = 0,
        train_tasks: Count | None = None,
        test_tasks: Count | None = None,
        pairs: Count | None = None,
        on_bad_file: Literal["error", "skip"] = "error",
        cache_mb: Whole = 1024,
    ) -> None:
        skip = on_bad_file == "skip"
        tree = find_tree(root, neighbours)
        self.root, self.size = tree.root, (size[0], size[1])
        if not skip and tree.errors:
            raise as_one_error(tree.errors)
        listed = listed_classes(tree) if maps == "classes" else None
        self.images = Images(self.size, listed, MemoryCache(cache_mb * 2**20))
        scenes = with_val(tree, val)
        limits = {"train": train_tasks, "val": None, "test": test_tasks}
        scenes = {
            split: [SceneFiles(scene.id, tuple(evenly_chosen(scene.pairs, pairs)))
                    for scene in evenly_chosen(scenes[split], limits[split])]
            for split in SPLITS
        }  # fmt: skip
        every = [pair for split in SPLITS for scene in scenes[split] for pair in scene.pairs]
        bad = self._bad(every, tree.errors, skip=skip)
        photographs = {
            split: [(scene.id, pair.photo) for scene in each for pair in scene.pairs] for split, each in scenes.items()
        }
        shared = refuse_shared("pairs", photographs, skip=skip)
        self._scenes = {split: self._good(each, bad, shared) for split, each in scenes.items()}
        for split in ("train", "test"):
            if not self._scenes[split]:
                raise UserError(f"no {split} scene has a good pair", where=tree.root / split)

    def spec(self) -> TaskSpec:
        """Return a channel for each class, with names and colours; three continuous ones where maps are images."""
        listed = self.images.listed
        if listed is None:
            return TaskSpec(COLOURS.channels, self.size, classes=COLOURS.names, also={"structure": COLOURS})
        return TaskSpec(len(listed.names), self.size, classes=listed.names, palette=listed.palette)

    def tasks(self, split: Split) -> Sequence[Task]:
        """Return the scenes of a split, by name."""
        return self._scenes[split]

    def remarks(self) -> Sequence[str]:
        """Return what is to be said about the maps read so far."""
        return self.images.remarks.sentences()

    def fingerprint(self, split: Split) -> str:
        """Return a hash over names and content of all files, and how they are read; times do not count."""
        scenes = self._scenes[split]
        paths = [path for scene in scenes for path in scene.files]
        names = [(scene.id, len(scene)) for scene in scenes]
        return f"pairs-{files_digest(paths, self.root, self.images.reading, self.size, names)}"

    def _bad(self, pairs: Sequence[PairFiles], others: Sequence[UserError], *, skip: bool) -> Collection[PairFiles]:
        """Return the bad pairs, which are an error or told in the log.

        Args:
            others: what was wrong before.
        """

        def check(pair: PairFiles) -> None:
            check_view(pair.photo, pair.map, exact_formats=self.images.listed is not None)

        def read(pair: PairFiles) -> None:
            check(pair)
            self.images.photo(pair)
            self.images.labels(pair)

        bad = failing(pairs, read if skip else check)
        if bad and not skip:
            raise as_one_error(list(bad.values()))
        tell_left_out("pairs", [*others, *bad.values()], len(pairs) + len(others))
        return bad

    def _good(self, scenes: Sequence[SceneFiles], bad: Collection[PairFiles], shared: Collection[Path]) -> list[Scene]:
        good = {
            scene.id: [pair for pair in scene.pairs if pair not in bad and pair.photo not in shared] for scene in scenes
        }
        empty = [id for id, each in good.items() if not each]
        if empty:
            log.warning("pairs: left out %s without a good pair: %s", counted(len(empty), "scene"), ", ".join(empty))
        return [Scene(id, each, self.images) for id, each in good.items() if each]


def listed_classes(tree: Tree) -> Classes:
    """Return the classes of the maps of a folder.

    Raises:
        UserError: when they are not listed, or not as they should be.
    """
    path = tree.root / CLASSES
    if not path.exists():
        raise no_classes(path, [pair.map for scene in tree.scenes["train"] for pair in scene.pairs])
    return read_classes(path)


def with_val(tree: Tree, val: int) -> dict[Split, Sequence[SceneFiles]]:
    """Return the scenes of each split.

    Args:
        tree: has them.
        val: how many of those that train are set aside to validate.

    Raises:
        UserError: when there are scenes for validation already, or none would be left to train.
    """
    train, there = tree.scenes["train"], tree.scenes["val"]
    if not val:
        return dict(tree.scenes)
    if there:
        raise UserError(f"tasks.val sets {val} training scenes aside, but there are {len(there)} in val/ already",
                        where=tree.root, hint="leave tasks.val out to use these")  # fmt: skip
    if val >= len(train):
        raise UserError(f"tasks.val is {val}, but there are only {len(train)} training scenes", where=tree.root)
    aside = evenly_chosen(train, val)
    return {
        "train": [scene for scene in train if scene not in aside], "val": aside, "test": tree.scenes["test"]
    }  # fmt: skip
