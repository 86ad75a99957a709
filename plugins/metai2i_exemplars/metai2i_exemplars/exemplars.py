"""`Exemplars`: the data sets on which exemplar-guided translation is measured, in their authors' layouts."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

from metai2i import Count, Side, Split, Task, TaskSource, TaskSpec, UserError, Whole
from metai2i.data import (
    MemoryCache,
    PairedScene,
    as_one_error,
    check_name,
    evenly_chosen,
    expanded,
    failing,
    files_digest,
    read_exemplar_list,
    refuse_shared,
    refuse_twins,
    samples_listed,
    tell_left_out,
)
from metai2i_exemplars.ade20k import Ade20k
from metai2i_exemplars.celebamask import CelebAMask
from metai2i_exemplars.deepfashion import DeepFashion
from metai2i_exemplars.images import Images, ListedScene, Scene
from metai2i_exemplars.layouts import Layout, find_layout
from metai2i_exemplars.records import Part, Record

log = logging.getLogger("metai2i")

LAYOUTS: tuple[type[Layout], ...] = (Ade20k, CelebAMask, DeepFashion)


class Exemplars(TaskSource):
    """ADE20K, CelebAMask-HQ and DeepFashion, as they are downloaded and as SPADE and CoCosNet arrange them.

    The layouts, recognised by what lies in `root`, or in a folder of `root` that is called like the data set:

    - ADE20K: images/training/, images/validation/ and annotations/, or the annotations beside the photographs. Its 151
      classes are the numbers in the files, 0 for what is unlabelled. A scene is a category of sceneCategories.txt; the
      same categories train and test, with other photographs.
    - CelebAMask-HQ: CelebA-HQ-img/ and CelebAMask-HQ-mask-anno/, with the masks of parts in 0/, 1/, and so on, or with
      all_parts_except_glasses/; 19 classes. A scene is a person where identity_CelebA.txt and the mapping lie in
      `root`, else successive photographs, which have little in common.
    - DeepFashion: img/ and pose/, the points that OpenPose found; a drawn pose and 17 distances from limbs. A scene is
      an outfit, seen from several sides.

    train.txt and val.txt in `root` say what trains and what tests; ADE20K has folders for it. Where there are none, the
    last fifteenth of the scenes tests.

    Which exemplar is shown for an image is the recipe's to say: `reference: {list: ade20k_ref.txt, hard: 0.29,
    self_share: 0.3}` takes the lists of CoCosNet's authors in plain training, and `tasks.test_list` those for tests.

    Images are resized to cover `size` with their aspect kept, and the middle is cut out.

    Args:
        root: the folder to look in; `~` is the home folder, a relative path starts at the current directory.
        layout: which data set lies there; found by what is there when null.
        size: height and width of the images.
        glasses: of CelebAMask-HQ: a class, over skin and nose; or apart, as CoCosNet has them: a channel over all else,
            so that `structure` is no label map.
        neighbours: successive photographs that make a scene where the data do not say what belongs together. Those
            left over at the end make one of their own.
        least: photographs that a scene must have to validate or to test: shots and queries together.
        test_list: a list of IMAGE,EXEMPLAR,... such as ade20k_ref_test.txt: each line is a scene to test on, whose
            support are the exemplars, the first first, and whose query is the image; with null, scenes of the split
            that tests are.
        val: so many training scenes, evenly spaced, validate and do not train.
        train_tasks: take at most so many training scenes, evenly spaced.
        test_tasks: take at most so many test scenes, evenly spaced.
        on_bad_file: what to do about files that are missing, damaged or at odds with each other: "error" stops, at
            once for what names and headers tell, else when the file is read; "skip" reads every file once at the
            start, leaves bad ones out and lists them in the log.
        cache_mb: memory for decoded images, in MB.

    Raises:
        UserError: when no data set is found, a split has no scene, a list is not as it should be, files are bad, or a
            photograph is in two splits.
    """

    test_options = frozenset({"test_list", "test_tasks"})

    def __init__(
        self,
        *,
        root: Path,
        layout: Literal["ade20k", "celebamask", "deepfashion"] | None = None,
        size: tuple[Side, Side] = (256, 256),
        glasses: Literal["class", "apart"] = "class",
        neighbours: Count = 10,
        least: Count = 2,
        test_list: Path | None = None,
        val: Whole = 0,
        train_tasks: Count | None = None,
        test_tasks: Count | None = None,
        on_bad_file: Literal["error", "skip"] = "error",
        cache_mb: Whole = 1024,
    ) -> None:
        kind, folder = find_layout(expanded(root), LAYOUTS, layout)
        self.layout = CelebAMask(folder, glasses) if kind is CelebAMask else kind(folder)
        if kind is not CelebAMask and glasses != "class":
            raise UserError(
                f"tasks.glasses is of CelebAMask-HQ, and this is {self.layout.title}", where=self.layout.folder
            )
        self.size = (size[0], size[1])
        self.images = Images(self.layout, self.size, MemoryCache(cache_mb * 2**20))
        records = self.layout.records()
        everything = [record for part in records.values() for record in part]
        skip = on_bad_file == "skip"
        bad = self._bad(everything, skip=skip)
        photographs: dict[Split, list[tuple[str, Path]]] = {
            part: [(record.name, record.photo) for record in records[part]] for part in records
        }
        shared = refuse_shared("exemplars", photographs, skip=skip)
        good = {
            part: [record for record in each if record not in bad and record.photo not in shared]
            for part, each in records.items()
        }
        train = grouped("train", good["train"], neighbours, self.images)
        aside = _set_aside(train, val, least, self.layout.folder)
        test: Sequence[Scene] = (
            _long_enough("test", grouped("test", good["test"], neighbours, self.images), least)
            if test_list is None
            else self._listed(test_list, good)
        )
        chosen: dict[Split, Sequence[Scene]] = {
            "train": evenly_chosen([scene for scene in train if scene not in aside], train_tasks),
            "val": aside,
            "test": evenly_chosen(test, test_tasks),
        }
        self._scenes = chosen
        for split in ("train", "test"):
            if not chosen[split]:
                raise UserError(f"no {split} scenes: {self._why_none(good, split, least)}", where=self.layout.folder)
        counts = ", ".join(f"{sum(map(len, scenes))} photographs in {len(scenes)} {split} scenes"
                           for split, scenes in chosen.items() if scenes)  # fmt: skip
        log.info("exemplars: %s in %s, %s", self.layout.title, self.layout.folder, counts)

    def spec(self) -> TaskSpec:
        """Return the layout's channels: one-hot for classes, continuous for poses and for glasses apart."""
        field = self.layout.field
        also = {} if field.kind == "onehot" else {"structure": field}
        return TaskSpec(field.channels, self.size, self.provides, classes=field.names, palette=field.palette, also=also)

    def tasks(self, split: Split) -> Sequence[Task]:
        """Return the scenes of a split, by name, or in the order of the lists."""
        return self._scenes[split]

    def remarks(self) -> Sequence[str]:
        """Return what is to be said about the maps read so far."""
        return self.images.remarks.sentences()

    def fingerprint(self, split: Split) -> str:
        """Return a hash over names and content of all files, and how they are read; times do not count."""
        scenes = self._scenes[split]
        paths = [path for scene in scenes for record in scene.pairs for path in record.files]
        names = [(scene.id, type(scene).__name__, [record.name for record in scene.pairs]) for scene in scenes]
        digest = files_digest(paths, self.layout.folder, self.images.reading, self.size, names)
        return f"exemplars-{digest}"

    def _bad(self, records: Sequence[Record], *, skip: bool) -> Collection[Record]:
        """Return the bad records, which are an error or told in the log."""

        def check(record: Record) -> None:
            check_name(record.photo)
            refuse_twins(record.twins)
            self.layout.check(record)

        def read(record: Record) -> None:
            check(record)
            self.images.photo(record)
            self.images.map(record)

        bad = failing(records, read if skip else check)
        if bad and not skip:
            raise as_one_error(list(bad.values()))
        tell_left_out("exemplars", list(bad.values()), len(records), "photographs")
        return bad

    def _listed(self, path: Path, records: Mapping[Part, Sequence[Record]]) -> list[ListedScene]:
        """Return a scene for each line of a list."""
        everything = [*records["test"], *records["train"]]
        lines = read_exemplar_list(path)
        listed = samples_listed(lines, [PairedScene("", everything, self.images)], "photograph here")
        scenes = []
        for line, ((_, image), exemplars) in zip(lines, listed.items(), strict=True):
            if image >= len(records["test"]):
                raise UserError(f"{line.image!r} is of the split that trains, and cannot test", where=line.where)
            if any(at == image for _, at in exemplars):
                raise UserError(f"{line.image!r} is its own exemplar", where=line.where)
            record = everything[image]
            scenes.append(
                ListedScene(f"test/{record.name}", record, [everything[at] for _, at in exemplars], self.images)
            )
        return scenes

    def _why_none(self, records: Mapping[Part, Sequence[Record]], split: Split, least: int) -> str:
        part: Part = "train" if split == "train" else "test"
        if not records[part]:
            return f"{self.layout.title} has no good photograph in this split"
        return f"of {len(records[part])} photographs, no {least} belong to one scene (tasks.least, tasks.neighbours)"


def grouped(split: Split, records: Sequence[Record], neighbours: int, images: Images) -> list[Scene]:
    """Return the scenes that records make: those that the data name, else successive ones.

    Args:
        split: comes before the name of a scene, since categories and people may be in several.
        records: in their order.
        neighbours: how many successive ones make a scene.
        images: what reads them.
    """
    named: dict[str, list[Record]] = {}
    others = [record for record in records if record.scene is None]
    for record in records:
        if record.scene is not None:
            named.setdefault(record.scene, []).append(record)
    successive = [others[at : at + neighbours] for at in range(0, len(others), neighbours)]
    groups = [*sorted(named.items()), *((group[0].name, group) for group in successive)]
    return [Scene(f"{split}/{name}", group, images) for name, group in groups]


def _long_enough(split: Split, scenes: Sequence[Scene], least: int) -> list[Scene]:
    """Return the scenes that have enough photographs; the log tells how many have not."""
    long = [scene for scene in scenes if len(scene) >= least]
    if len(long) < len(scenes):
        log.info("exemplars: %d of %d %s scenes have fewer than %d photographs and are left out (tasks.least)",
                 len(scenes) - len(long), len(scenes), split, least)  # fmt: skip
    return long


def _set_aside(scenes: Sequence[Scene], val: int, least: int, where: Path) -> Sequence[Scene]:
    """Return the training scenes that validate.

    Raises:
        UserError: when there are not as many, or none would be left to train.
    """
    long = [scene for scene in scenes if len(scene) >= least] if val else []
    if val and (val > len(long) or val >= len(scenes)):
        raise UserError(
            f"tasks.val is {val}, but of {len(scenes)} training scenes {len(long)} have {least} photographs or more",
            where=where,
        )
    return evenly_chosen(long, val) if val else []
