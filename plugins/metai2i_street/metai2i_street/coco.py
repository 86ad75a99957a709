"""`Coco`: photographs of COCO with a class and an instance for each pixel."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from metai2i import Count, Side, Split, Task, TaskSource, TaskSpec, UserError, Whole, counted
from metai2i.data import (
    MemoryCache,
    PairedScene,
    Size,
    as_one_error,
    cached,
    evenly_chosen,
    expanded,
    file_identity,
    files_digest,
    fit_photo,
    read_photograph,
    refuse_shared,
    tell_left_out,
)
from metai2i_street.coco_layouts import Layout, find_layout
from metai2i_street.instances import packed, unpacked
from metai2i_street.records import Record
from metai2i_street.scan import headers, pixels

READING = "1"
"""Changes when the same files would give other images, maps or ids."""


class Coco(TaskSource):
    """COCO with a class and an instance for each pixel: its train split trains, its val split tests.

    Successive photographs make a scene, though they have little in common. The layouts, recognised by what lies in
    `root`:

    - COCO panoptic: annotations/panoptic_train2017.json, annotations/panoptic_train2017/ (or panoptic_train2017/) and
      train2017/, and the same for val. Classes are the list's categories, and one for where no segment is.
    - COCO-Stuff as SPADE has it: train_img/, train_label/, train_inst/, and the same for val. Classes are the 182 of
      COCO-Stuff, without names, and one for all that is unlabelled.

    Each id lies within its class: in the first layout it is that of the segment, in the second 256 times the class and
    the number in the file. Images are resized to cover `size` with their aspect kept, and the middle is cut out.

    Args:
        root: the folder to look in; `~` is the home folder, a relative path starts at the current directory.
        size: height and width of the images.
        neighbours: successive photographs that make a scene together: one that tests must have as many as shots and
            queries together. Those left over at the end are left out.
        train_tasks: take at most so many scenes to train on, evenly spaced.
        test_tasks: take at most so many scenes to test on, evenly spaced.
        on_bad_file: what to do about files that are missing, damaged or at odds with each other: "error" stops, at
            once for what names and headers tell, else when the file is read; "skip" reads every file once at the
            start, leaves bad ones out and lists them in the log.
        cache_mb: memory for decoded images, in MB.

    Raises:
        UserError: when COCO is not found or a split is empty, a list is not as it should be, files are bad, or a
            photograph is in both splits.
    """

    provides = frozenset({"structure", "target", "instances"})
    test_options = frozenset({"test_tasks"})

    def __init__(
        self,
        *,
        root: Path,
        size: tuple[Side, Side] = (256, 256),
        neighbours: Count = 10,
        train_tasks: Count | None = None,
        test_tasks: Count | None = None,
        on_bad_file: Literal["error", "skip"] = "error",
        cache_mb: Whole = 1024,
    ) -> None:
        folder = expanded(root)
        self.size = (size[0], size[1])
        self.layout = find_layout(folder)
        self.folder = folder
        images = Images(self.layout, self.size, MemoryCache(cache_mb * 2**20))
        skip = on_bad_file == "skip"
        records: dict[Split, Sequence[Record]] = {
            "train": _good(self.layout.records("train"), images, skip),
            "test": _good(self.layout.records("val"), images, skip),
        }
        photographs = {split: [(record.name, record.photo) for record in each] for split, each in records.items()}
        shared = refuse_shared("coco", photographs, skip=skip)
        limits: dict[Split, int | None] = {"train": train_tasks, "test": test_tasks}
        self._scenes: dict[Split, Sequence[Photographs]] = {}
        for split, each in records.items():
            kept = [record for record in each if record.photo not in shared]
            if len(kept) < neighbours:
                part = "val" if split == "test" else split
                raise UserError(
                    f"{self.layout.name} has {counted(len(kept), 'photograph')} in its split {part}, fewer than "
                    f"tasks.neighbours, which is {neighbours}",
                    where=folder,
                )
            groups = [kept[at : at + neighbours] for at in range(0, len(kept) - neighbours + 1, neighbours)]
            self._scenes[split] = [Photographs(group, images) for group in evenly_chosen(groups, limits[split])]

    def spec(self) -> TaskSpec:
        """Return one-hot channels for the layout's classes."""
        classes = self.layout.categories
        return TaskSpec(classes.count, self.size, self.provides, classes=classes.names, palette=classes.palette)

    def tasks(self, split: Split) -> Sequence[Task]:
        """Return the scenes of a split, in the order of their names or of the list; none for val."""
        return self._scenes.get(split, [])

    def fingerprint(self, split: Split) -> str:
        """Return a hash over names and content of the files, and how they are read; times do not count."""
        scenes = self._scenes.get(split, [])
        files = [path for scene in scenes for path in scene.files]
        said = [[self.layout.said(record) for record in scene.pairs] for scene in scenes]
        how = (READING, self.layout.name, self.size, self.layout.categories, said)
        return f"coco-{files_digest(files, self.folder, *how)}"


class Images:
    """Decoded photographs, classes and ids at one size; on the disk, and in memory up to a limit.

    Args:
        layout: reads the maps.
        size: of the images.
        cache: what is kept in memory.
    """

    def __init__(self, layout: Layout, size: Size, cache: MemoryCache) -> None:
        self.layout, self.size, self.cache = layout, size, cache
        self.classes = layout.categories.count
        self.reading = f"{READING} {layout.name}"

    def files(self, record: Record) -> tuple[Path, ...]:
        """Return photograph and maps."""
        return record.files

    def photo(self, record: Record) -> np.ndarray:
        """Return (H, W, 3) uint8."""

        def read() -> np.ndarray:
            return fit_photo(read_photograph(record.photo), self.size)

        how = ("coco", "photo", READING, self.size)
        return self.cache.get(("photo", record.photo), lambda: cached(record.photo, how, read))

    def maps(self, record: Record) -> tuple[np.ndarray, np.ndarray]:
        """Return classes and ids, (H, W) int64 each."""

        def read() -> np.ndarray:
            return np.concatenate([packed(each) for each in self.layout.maps(record, self.size)], axis=-1)

        def kept() -> np.ndarray:
            beside = [file_identity(path) for path in record.files[2:] if path.exists()]
            how = ("coco", "maps", READING, self.size, self.layout.name, self.layout.said(record), beside)
            return cached(record.label, how, read)

        both = self.cache.get(("maps", record.label), kept)
        return unpacked(both[..., :4]), unpacked(both[..., 4:])

    def labels(self, record: Record) -> np.ndarray:
        """Return (H, W) int64 classes."""
        return self.maps(record)[0]

    def instances(self, record: Record) -> np.ndarray:
        """Return (H, W) int64 ids."""
        return self.maps(record)[1]


class Photographs(PairedScene[Record]):
    """A scene of successive photographs, called like the first.

    Args:
        records: their files.
        images: what reads them.
    """

    def __init__(self, records: Sequence[Record], images: Images) -> None:
        super().__init__(records[0].name, records, images)
        self._said = [images.layout.said(record) for record in records]

    def fingerprint(self) -> str:
        """Return names and contents of the files, how they are read, and what the list says of them."""
        return repr((super().fingerprint(), self._said))


def _good(records: Sequence[Record], images: Images, skip: bool) -> list[Record]:
    """Return the records without bad ones, which are an error or told in the log."""

    def read(record: Record) -> None:
        images.photo(record)
        images.maps(record)

    bad = headers(records, images.layout.check)
    if bad and not skip:
        raise as_one_error([error for _, error in bad])
    failed = {record for record, _ in bad}
    if skip:
        said = [images.layout.said(record) for record in records]
        salt = f"coco|{READING}|{images.layout.name}|{hashlib.sha256(repr(said).encode()).hexdigest()}"
        bad += pixels([record for record in records if record not in failed], read, salt)
        failed = {record for record, _ in bad}
    tell_left_out("coco", [error for _, error in bad], len(records), "photographs")
    return [record for record in records if record not in failed]
