"""`SketchScenes`: photographs of scenes, and their objects on white with the sketch of the background."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image

from metai2i import Batch, Count, Field, Side, Split, Task, TaskSource, TaskSpec, UserError, Whole, counted
from metai2i.data import (
    KeptPhotographs,
    MemoryCache,
    as_one_error,
    as_photographs,
    channels_first,
    content_digests,
    evenly_chosen,
    expanded,
    failing,
    fit_photo,
    header,
    refuse_shared,
)
from metai2i_sketches.boxes import WHOLE, Part, cut, fitted_box
from metai2i_sketches.making import Made
from metai2i_sketches.scene_files import SceneFiles, find_scenes
from metai2i_sketches.scene_list import Filling, Images, Lines

READING = "1"
"""Changes when the same files would give other images."""


class Composites:
    """Reads scenes and keeps what it has read.

    Args:
        size: (height, width) of the images.
        cache: keeps them in memory.
        filling: what is put into boxes.
    """

    def __init__(self, size: tuple[int, int], cache: MemoryCache, filling: Filling) -> None:
        self.size, self.cache, self.filling = size, cache, filling
        self.photo = KeptPhotographs("sketch_scenes", size, cache, READING)

    def composite(self, scene: SceneFiles) -> np.ndarray:
        """Return the objects and the sketch of the background on white, (H, W, 3) uint8."""

        def read() -> np.ndarray:
            return fit_photo(Image.fromarray(scene.composite(self.filling)), self.size)

        return self.cache.get(("composite", self.filling.key, scene), read)


Sample = tuple[SceneFiles, Part]
"""A scene, and the part of it that is judged."""


class Scenes(Task):
    """Successive scenes, called like the first, or objects in them.

    Args:
        id: of the task.
        samples: their files, each with what is judged of it.
        images: reads them.
    """

    def __init__(self, id: str, samples: Sequence[Sample], images: Composites) -> None:
        self.id, self.samples, self.images = id, tuple(samples), images
        self.scenes = tuple(dict.fromkeys(scene for scene, _ in self.samples))

    def __len__(self) -> int:
        return len(self.samples)

    def load(self, indices: Sequence[int]) -> Batch:
        """Return `structure` (N, 3, H, W) in [0, 1], the composite, `target` (N, 3, H, W) in [-1, 1], and `box` (N, 4),
        the part of the scene that the target is: left, top, right and bottom in shares of width and height.

        Raises:
            UserError: naming the file, for an image that cannot be read, a sketch that is none, or a box that is not
                within its scene.
        """
        chosen = [self.samples[int(index)] for index in indices]
        structure = channels_first([self.images.composite(scene) for scene, _ in chosen]).div_(255)
        target = as_photographs([self.images.photo(scene.photo) for scene, _ in chosen])
        box = torch.tensor([part for _, part in chosen])
        if any(part != WHOLE for _, part in chosen):
            target = cut(target, box)
        return Batch(structure=structure, target=target, box=box)

    @property
    def files(self) -> Sequence[Path]:
        """Return photograph and sketch, or list, of each scene."""
        return [path for scene in self.scenes for path in scene.files[:2]]

    def fingerprint(self) -> str:
        """Return names and contents of all files of the scenes, how they are read, and what fills their boxes."""
        files = [path for scene in self.scenes for path in scene.files]
        parts = [part for _, part in self.samples if part != WHOLE]
        about = (READING, self.images.size, self.images.filling.key, parts)
        return repr((about, [path.name for path in files], content_digests(files)))


class SketchScenes(TaskSource):
    """Scenes for the second stage of SketchyCOCO's pipeline: to make the photograph of a scene whose objects are there,
    on white, with a sketch of the background. Successive scenes make a task.

    `structure` is a continuous map of three channels. The layouts, recognised by what lies in `root`:

    - SketchyCOCO's: Scene/GT/, Scene/Sketch/paper_version/, Scene/Annotation/paper_version/SPLIT/CLASS_GT/*.mat, of
      which trainInTrain and valInTrain train and val tests. The objects are those of the photograph.
    - train/NAME.json and test/NAME.json beside NAME.jpg, with a list of objects, their images or sketches or both, and
      their boxes in pixels of the photograph: {"background": "a.png", "objects": [{"class": "cat", "image": "cat.png",
      "sketch": "lines.png", "box": [left, top, width, height]}]}

    Args:
        root: the folder to look in; `~` is the home folder, a relative path starts at the current directory.
        fill: what goes into the boxes of listed scenes: the images of objects, or their sketches as they are.
        model: a model of sketches of objects (EdgeGAN), which `metai2i adapt` has written: it makes the images of the
            scenes that test of their sketches. Those that train keep theirs, as in SketchyCOCO.
        judged: what targets are in scenes that test: whole scenes, or `boxes`, of which each is a sample; the strategy
            `boxes` cuts outputs alike.
        size: height and width of the images; the middle of each scene is taken.
        neighbours: successive scenes, by name, that make a task together: one that tests must have as many as shots and
            queries together. Those left over at the end are left out.
        train_tasks: take at most so many tasks to train on, evenly spaced.
        test_tasks: take at most so many tasks to test on, evenly spaced.
        cache_mb: memory for decoded images, in MB.

    Raises:
        UserError: when there are no scenes, a split has too few, files are missing or not as they should be, a box is
            not within its scene, an object has not what is put in or is of a class that the model does not know, or a
            photograph is in two splits.
    """

    provides = frozenset({"structure", "target", "box"})
    test_options = frozenset({"test_tasks", "model", "judged"})

    def __init__(
        self,
        *,
        root: Path,
        fill: Literal["images", "sketches"] = "images",
        model: str | None = None,  # a path, of a file that decides nothing of what trains
        judged: Literal["scenes", "boxes"] = "scenes",
        size: tuple[Side, Side] = (256, 256),
        neighbours: Count = 10,
        train_tasks: Count | None = None,
        test_tasks: Count | None = None,
        cache_mb: Whole = 1024,
    ) -> None:
        folder = expanded(root)
        if not folder.is_dir():
            what = "this is a file" if folder.exists() else "no such folder"
            raise UserError(f"{what}, expected one with scenes", where=folder, hint="tasks.root names it")
        if model is not None and fill == "sketches":
            what = "tasks.model makes images of sketches, which tasks.fill: sketches leaves as they are"
            raise UserError(what, hint="leave one of them out")
        self.must_be_read = frozenset({"box"} if judged == "boxes" else ())  # by what cuts outputs as targets are cut
        self.size, shown = (size[0], size[1]), Lines() if fill == "sketches" else Images()
        fillings: dict[Split, Filling] = {
            "train": shown,
            "test": shown if model is None else Made(expanded(Path(model))),
        }
        scenes, cache = find_scenes(folder), MemoryCache(cache_mb * 2**20)
        every = [(scene, fillings[split]) for split, each in scenes.items() for scene in each]
        bad = failing(every, lambda pair: pair[0].check(pair[1]))
        if bad:
            raise as_one_error(list(bad.values()), "put them right, or take the scenes out")
        photographs = {split: [(scene.name, scene.photo) for scene in each] for split, each in scenes.items()}
        refuse_shared("sketch_scenes", photographs, skip=False)
        limits: dict[Split, int | None] = {"train": train_tasks, "test": test_tasks}
        self._tasks: dict[Split, list[Task]] = {}
        for split, each in scenes.items():
            if len(each) < neighbours:
                what = f"there {'is' if len(each) == 1 else 'are'} {counted(len(each), 'scene')} in the split {split}"
                raise UserError(f"{what}, fewer than tasks.neighbours, which is {neighbours}", where=folder)
            images = Composites(self.size, cache, fillings[split])
            groups = [each[at : at + neighbours] for at in range(0, len(each) - neighbours + 1, neighbours)]
            in_boxes = judged == "boxes" and split == "test"
            self._tasks[split] = [
                Scenes(f"{split}/{group[0].name}", samples_of(group, self.size, in_boxes=in_boxes), images)
                for group in evenly_chosen(groups, limits[split])
            ]

    def spec(self) -> TaskSpec:
        """Return three channels of a continuous map."""
        also = {"structure": Field("map", 3), "box": Field("vector", 4)}
        return TaskSpec(3, self.size, self.provides, also=also)

    def tasks(self, split: Split) -> Sequence[Task]:
        """Return the tasks of a split, by name; none for val."""
        return self._tasks.get(split, [])

    def fingerprint(self, split: Split) -> str:
        """Return a hash over the tasks, names and content of the files; times do not count."""
        about = [(task.id, task.fingerprint()) for task in self.tasks(split)]
        return f"sketch-scenes-{hashlib.sha256(repr((READING, self.size, about)).encode()).hexdigest()}"


def samples_of(scenes: Sequence[SceneFiles], size: tuple[int, int], *, in_boxes: bool) -> list[Sample]:
    """Return the samples of scenes: one of each, or one of each box of which at least a half is in the image.

    Raises:
        UserError: when there are boxes to judge and no scene has one.
    """
    if not in_boxes:
        return [(scene, WHOLE) for scene in scenes]
    samples: list[Sample] = []
    for scene in scenes:
        natural = header(scene.photo).size
        parts = [fitted_box(box, natural, size) for box in scene.boxes]
        samples += [(scene, part) for part in parts if part is not None]
    if not samples:
        what = f"there are no boxes in the {counted(len(scenes), 'scene')} of a task, and tasks.judged is boxes"
        raise UserError(what, where=scenes[0].photo, hint="lists of objects have boxes")
    return samples
