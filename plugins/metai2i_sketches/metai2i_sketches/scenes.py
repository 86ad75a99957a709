"""`SketchScenes`: photographs of scenes, and their objects on white with the sketch of the background."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from metai2i import Batch, Count, Field, Side, Split, Task, TaskSource, TaskSpec, UserError, Whole, counted
from metai2i.data import (
    KeptPhotographs,
    MemoryCache,
    as_one_error,
    content_digests,
    evenly_chosen,
    expanded,
    failing,
    fit_photo,
    refuse_shared,
)
from metai2i_sketches.scene_files import SceneFiles, find_scenes

READING = "1"
"""Changes when the same files would give other images."""


class Composites:
    """Reads scenes and keeps what it has read.

    Args:
        size: (height, width) of the images.
        cache: keeps them in memory.
    """

    def __init__(self, size: tuple[int, int], cache: MemoryCache) -> None:
        self.size, self.cache = size, cache
        self.photo = KeptPhotographs("sketch_scenes", size, cache, READING)

    def composite(self, scene: SceneFiles) -> np.ndarray:
        """Return the objects and the sketch of the background on white, (H, W, 3) uint8."""
        return self.cache.get(("composite", scene), lambda: fit_photo(Image.fromarray(scene.composite()), self.size))


class Scenes(Task):
    """Successive scenes, called like the first.

    Args:
        id: of the task.
        scenes: their files.
        images: reads them.
    """

    def __init__(self, id: str, scenes: Sequence[SceneFiles], images: Composites) -> None:
        self.id, self.scenes, self.images = id, tuple(scenes), images

    def __len__(self) -> int:
        return len(self.scenes)

    def load(self, indices: Sequence[int]) -> Batch:
        """Return `structure` (N, 3, H, W) in [0, 1], the composite, and `target` (N, 3, H, W) in [-1, 1].

        Raises:
            UserError: naming the file, for an image that cannot be read, a sketch that is none, or a box that is not
                within its scene.
        """
        scenes = [self.scenes[int(index)] for index in indices]
        composites = torch.from_numpy(np.stack([self.images.composite(scene) for scene in scenes]))
        photos = torch.from_numpy(np.stack([self.images.photo(scene.photo) for scene in scenes]))
        return Batch(
            structure=composites.permute(0, 3, 1, 2).to(torch.float32).div_(255).contiguous(),
            target=photos.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1.0).contiguous(),
        )

    @property
    def files(self) -> Sequence[Path]:
        """Return photograph and sketch, or list, of each scene."""
        return [path for scene in self.scenes for path in scene.files[:2]]

    def fingerprint(self) -> str:
        """Return names and contents of all files of the scenes, and how they are read."""
        files = [path for scene in self.scenes for path in scene.files]
        return repr((READING, self.images.size, [path.name for path in files], content_digests(files)))


class SketchScenes(TaskSource):
    """Scenes for the second stage of SketchyCOCO's pipeline: to make the photograph of a scene whose objects are there,
    on white, with a sketch of the background. Successive scenes make a task.

    `structure` is a continuous map of three channels. The layouts, recognised by what lies in `root`:

    - SketchyCOCO's: Scene/GT/, Scene/Sketch/paper_version/, Scene/Annotation/paper_version/SPLIT/CLASS_GT/*.mat, of
      which trainInTrain and valInTrain train and val tests. The objects are those of the photograph.
    - train/NAME.json and test/NAME.json beside NAME.jpg, with a list of images of objects, which another model may have
      made, and their boxes in pixels of the photograph:
      {"background": "a.png", "objects": [{"class": "cat", "image": "cat.png", "box": [left, top, width, height]}]}

    Args:
        root: the folder to look in; `~` is the home folder, a relative path starts at the current directory.
        size: height and width of the images; the middle of each scene is taken.
        neighbours: successive scenes, by name, that make a task together: one that tests must have as many as shots and
            queries together. Those left over at the end are left out.
        train_tasks: take at most so many tasks to train on, evenly spaced.
        test_tasks: take at most so many tasks to test on, evenly spaced.
        cache_mb: memory for decoded images, in MB.

    Raises:
        UserError: when there are no scenes, a split has too few, files are missing or not as they should be, a box is
            not within its scene, or a photograph is in two splits.
    """

    provides = frozenset({"structure", "target"})
    test_options = frozenset({"test_tasks"})

    def __init__(
        self,
        *,
        root: Path,
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
        self.size = (size[0], size[1])
        scenes = find_scenes(folder)
        images = Composites(self.size, MemoryCache(cache_mb * 2**20))
        bad = failing([scene for each in scenes.values() for scene in each], lambda scene: scene.check())
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
            groups = [each[at : at + neighbours] for at in range(0, len(each) - neighbours + 1, neighbours)]
            self._tasks[split] = [
                Scenes(f"{split}/{group[0].name}", group, images) for group in evenly_chosen(groups, limits[split])
            ]

    def spec(self) -> TaskSpec:
        """Return three channels of a continuous map."""
        return TaskSpec(3, self.size, self.provides, also={"structure": Field("map", 3)})

    def tasks(self, split: Split) -> Sequence[Task]:
        """Return the tasks of a split, by name; none for val."""
        return self._tasks.get(split, [])

    def fingerprint(self, split: Split) -> str:
        """Return a hash over the tasks, names and content of the files; times do not count."""
        about = [(task.id, task.fingerprint()) for task in self.tasks(split)]
        return f"sketch-scenes-{hashlib.sha256(repr((READING, self.size, about)).encode()).hexdigest()}"
