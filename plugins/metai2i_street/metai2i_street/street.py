"""`Street`: street scenes with label maps, to train on one data set and adapt to another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from metai2i import SPLITS, Count, Side, Split, Task, TaskSource, TaskSpec, UserError, Whole, check_range
from metai2i.data import MemoryCache, evenly_chosen, expanded, files_digest, refuse_shared
from metai2i_street.dataset import READING, Dataset, open_dataset
from metai2i_street.find import TITLES
from metai2i_street.labels import CLASSES, PALETTE
from metai2i_street.records import DatasetName
from metai2i_street.scenes import Scene, neighbouring
from metai2i_street.splits import Plan
from metai2i_street.tables import Tables


class Street(TaskSource):
    """CamVid, Cityscapes and BDD100K in one space of 20 classes, in the layouts in which people have them.

    Every pair of Cityscapes and BDD100K is a scene of one pair. CamVid's scenes are clips of successive annotated
    frames that cross neither a gap nor a change of pace. The paper (Ma et al., 2019) trains on BDD100K and tests on
    CamVid; its 69 clips come of cutting whole sequences, the gaps leave 68 of the same 701 frames.

    The layouts, each recognised by what lies in `root` or one or two folders down in `camvid/`, `cityscapes/`,
    `bdd100k/` (in any case):

    - the compact pack: NAME.jpg beside NAME.png of common ids (CamVid, Cityscapes);
    - CamVid as the SegNet tutorial has it: train/NAME.png, trainannot/NAME.png;
    - CamVid with colour labels: train/NAME.png, train_labels/NAME_L.png, class_dict.csv;
    - official CamVid: 701_StillsRaw_full/, LabeledApproved_full/, label_colors.txt;
    - Cityscapes as pix2pix has it: train/N.jpg of 512x256, photograph left, colours right;
    - official Cityscapes: leftImg8bit/train/CITY/, gtFine/train/CITY/ with labelIds or labelTrainIds;
    - Cityscapes as pix2pixHD has it: train_img/, train_label/;
    - official BDD100K: seg/images/train/, seg/labels/train/; or images/10k/train/, labels/sem_seg/masks/train/.

    Images are resized to cover `size` with their aspect kept (photographs by Lanczos, maps by the nearest pixel), and
    the middle is cut out.

    Args:
        root: the folder to look in; `~` is the home folder, a relative path starts at the current directory.
        train: the data set that trains.
        test: the data set that tests.
        val: the data set that validates, by its own val split; when null, CamVid does if `val_sequences` are given,
            else none.
        val_sequences: CamVid sequences to validate on, such as ["0016E5"]; they then neither train nor test.
        test_sequences: the CamVid sequences that test when CamVid trains too; without that all test.
        size: height and width of the images.
        clip: frames in a clip of CamVid.
        neighbours: successive pairs of Cityscapes or BDD100K, by name, that make a training scene together. They are of
            one place at best, but give a scene further photographs; the paper has 1.
        train_tasks: take at most so many training scenes, evenly spaced.
        val_tasks: take at most so many validation scenes, evenly spaced.
        test_tasks: take at most so many test scenes, evenly spaced.
        on_bad_file: what to do about files that are missing, damaged or at odds with each other: "error" stops, at
            once for what names and headers tell, else when the file is read; "skip" reads every file once at the
            start, leaves bad pairs out and lists them in the log. What systems leave behind (`._NAME`, `@eaDir` and
            such) is never looked at.
        mapping: own mapping tables: a folder with such files as camvid_colours.csv, or one of them; see the package's
            `data` folder for all. Tables not there stay as they are.
        cache_mb: memory for decoded images, in MB.
        camvid: the folder of CamVid, when it is not under `root`.
        cityscapes: the folder of Cityscapes, when it is not under `root`.
        bdd100k: the folder of BDD100K, when it is not under `root`.

    Raises:
        UserError: when a data set is not found, has bad files, or makes no scene, or a photograph is in two splits.
    """

    test_options = frozenset({"test", "test_sequences", "test_tasks"})
    groups_tests: ClassVar[bool] = False
    """Whether `neighbours` make a scene in the split that tests, too."""

    def __init__(
        self,
        *,
        root: Path,
        train: Literal["cityscapes", "camvid", "bdd100k"] = "cityscapes",
        test: Literal["cityscapes", "camvid", "bdd100k"] = "camvid",
        val: Literal["cityscapes", "camvid", "bdd100k"] | None = None,
        val_sequences: tuple[str, ...] = (),
        test_sequences: tuple[str, ...] = ("Seq05VD",),
        size: tuple[Side, Side] = (128, 256),
        clip: Count = 10,
        neighbours: Count = 1,
        train_tasks: Count | None = None,
        val_tasks: Count | None = None,
        test_tasks: Count | None = None,
        on_bad_file: Literal["error", "skip"] = "error",
        mapping: Path | None = None,
        cache_mb: Whole = 1024,
        camvid: Path | None = None,
        cityscapes: Path | None = None,
        bdd100k: Path | None = None,
    ) -> None:
        limits: dict[Split, int | None] = {"train": train_tasks, "val": val_tasks, "test": test_tasks}
        counts = {
            "clip": clip,
            "neighbours": neighbours,
            **{f"{split}_tasks": limit for split, limit in limits.items() if limit is not None},
        }
        for option, count in counts.items():
            check_range(f"tasks.{option}", count, Count)
        check_range("tasks.size", size, tuple[Side, Side])
        check_range("tasks.cache_mb", cache_mb, Whole)
        self.size = (size[0], size[1])
        self.plan = Plan(train, test, val, tuple(val_sequences), tuple(test_sequences))
        self.tables = Tables(Path(mapping) if mapping is not None else None)
        folders = {"camvid": camvid, "cityscapes": cityscapes, "bdd100k": bdd100k}
        cache = MemoryCache(cache_mb * 2**20)
        self.datasets: dict[DatasetName, Dataset] = {}
        for split in SPLITS:
            name = self.plan.dataset(split)
            if name is not None and name not in self.datasets:
                self.datasets[name] = open_dataset(
                    name,
                    expanded(folders[name] or root),
                    parts=self.plan.parts(name),
                    clip=clip,
                    tables=self.tables,
                    on_bad_file=on_bad_file,
                    size=self.size,
                    cache=cache,
                    instances="instances" in self.provides,
                )
        self.neighbours = neighbours
        scenes = {split: evenly_chosen(self._all(split), limits[split]) for split in SPLITS}
        photographs = {
            split: [(scene.id, record.photo) for scene in each for record in scene.pairs]
            for split, each in scenes.items()
        }
        shared = refuse_shared("street", photographs, skip=on_bad_file == "skip")
        self._scenes = {
            split: [scene for scene in each if not any(record.photo in shared for record in scene.pairs)]
            for split, each in scenes.items()
        }

    def _all(self, split: Split) -> list[Scene]:
        name = self.plan.dataset(split)
        if name is None:
            return []
        dataset = self.datasets[name]
        groups = self.plan.groups(split, dataset.groups)
        scenes = dataset.of(groups)
        if not scenes:
            of = "sequences" if name == "camvid" else "split"
            raise UserError(
                f"no {split} scenes: {TITLES[name]} (layout {dataset.layout!r}) has {dataset.summary or 'no pairs'}, "
                f"and none in its {of} {', '.join(groups) or '(none left)'}",
                where=dataset.folder,
                hint="a smaller tasks.clip gives shorter clips" if name == "camvid" else None,
            )
        grouped = self.neighbours > 1 and (split == "train" or self.groups_tests) and name != "camvid"
        return neighbouring(scenes, self.neighbours, by_place=name != "bdd100k") if grouped else scenes

    def spec(self) -> TaskSpec:
        """Return 20 one-hot channels, with the names and colours of Cityscapes."""
        return TaskSpec(
            structure_channels=len(CLASSES), size=self.size, fields=self.provides, classes=CLASSES, palette=PALETTE
        )

    def tasks(self, split: Split) -> Sequence[Task]:
        """Return the scenes of a split, by sequence and frame, or by name."""
        return self._scenes[split]

    def remarks(self) -> Sequence[str]:
        """Return what is to be said about the maps read so far, for each data set."""
        return [
            f"{TITLES[name]}: {text}" for name, dataset in self.datasets.items() for text in dataset.remarks.sentences()
        ]

    def fingerprint(self, split: Split) -> str:
        """Return a hash over the scenes, the relative names and the content of their files, and the options that shape
        them.

        Times do not count, so that a copied folder has the same.
        """
        name = self.plan.dataset(split)
        dataset = self.datasets[name] if name else None  # without one the split has no scenes
        files = [path for scene in self._scenes[split] for path in scene.files]
        members = [(scene.id, len(scene.files)) for scene in self._scenes[split]]
        how = (READING, self.size, self.tables.digest(), name, dataset.layout if dataset else None, members)
        return f"street-{files_digest(files, dataset.folder if dataset else Path(), *how)}"


class StreetInstances(Street):
    """Cityscapes with the instance of each pixel, in the two layouts that have it.

    `instances` are the ids of Cityscapes: 1000 times the label and a number for cars, people and others that are
    counted, and the label elsewhere. Each lies within its class. All else is as in `street`; the training split
    trains, the val split tests.

    - official Cityscapes: gtFine/train/CITY/NAME_gtFine_instanceIds.png beside the label maps;
    - pix2pixHD's folders: train_img/, train_label/, train_inst/, and the same with val or test.

    Args:
        root: the folder to look in; `~` is the home folder, a relative path starts at the current directory.
        size: height and width of the images.
        neighbours: successive pairs of a city, by name, that make a scene together, in both splits: a scene that tests
            must have as many as shots and queries together. Those left over at the end are left out.
        train_tasks: take at most so many training scenes, evenly spaced.
        test_tasks: take at most so many test scenes, evenly spaced.
        on_bad_file: what to do about files that are missing, damaged or at odds with each other: "error" stops, "skip"
            leaves the pair out and lists it in the log.
        mapping: own mapping tables, as `street` has them.
        cache_mb: memory for decoded images, in MB.

    Raises:
        UserError: when Cityscapes is not found, has no instance maps, or has bad files.
    """

    provides = Street.provides | {"instances"}
    test_options = frozenset({"test_tasks"})
    groups_tests = True

    def __init__(
        self,
        *,
        root: Path,
        size: tuple[Side, Side] = (128, 256),
        neighbours: Count = 10,
        train_tasks: Count | None = None,
        test_tasks: Count | None = None,
        on_bad_file: Literal["error", "skip"] = "error",
        mapping: Path | None = None,
        cache_mb: Whole = 1024,
    ) -> None:
        super().__init__(
            root=root,
            train="cityscapes",
            test="cityscapes",
            size=size,
            neighbours=neighbours,
            train_tasks=train_tasks,
            test_tasks=test_tasks,
            on_bad_file=on_bad_file,
            mapping=mapping,
            cache_mb=cache_mb,
        )
        parts: dict[Split, str] = {"train": "train", "test": "val"}
        for split, part in parts.items():
            if not self.tasks(split):
                raise UserError(
                    f"no {split} scenes: no city has {neighbours} photographs in the split {part}",
                    where=self.datasets["cityscapes"].folder,
                    hint="lower tasks.neighbours",
                )
