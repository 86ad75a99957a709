"""The maps and scenes that are there to begin with: supports of models, and test scenes of runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from metai2i.data.label_maps import legend_of
from metai2i.errors import UserError
from metai2i.files import copy_file
from metai2i.inference.pair_folders import read_map
from metai2i.paint.models import PageModel
from metai2i.report.supports import supports_of
from metai2i.run_folder.files import IMAGE_INDEX
from metai2i.run_folder.record import ImageIndex, TaskImages, read_record
from metai2i.tasks import TaskSpec

SCENES = 8
"""The most test scenes of a run."""
MOST_MAPS = 24
"""The most maps on the shelf."""


@dataclass(frozen=True)
class ShelfMap:
    """A label map to begin with.

    Args:
        title: where it is from.
        ids: (H, W).
    """

    title: str
    ids: np.ndarray


@dataclass(frozen=True)
class SceneFiles:
    """A test scene of a run, whose images the run has kept.

    Args:
        title: its name.
        folder: in the run's images.
        support: pairs of a photograph and its map.
        queries: maps.
    """

    title: str
    folder: Path
    support: Sequence[tuple[Path, Path]]
    queries: Sequence[Path]

    def copy_support(self, folder: Path) -> None:
        """Copy the support into a folder, as pairs that `metai2i adapt` reads."""
        for kind, place in (("photos", 0), ("maps", 1)):
            (folder / kind).mkdir()
            for pair in self.support:
                copy_file(pair[place], folder / kind / f"{pair[0].stem}.png")


def scenes_of(run: Path, spec: TaskSpec) -> list[SceneFiles]:
    """Return the first test scenes of a run; none where its maps have no colours of their own for the classes, or are
    not there.
    """
    if not (run / IMAGE_INDEX).is_file() or spec.structure_channels < 2 or not legend_of(spec).colours:
        return []
    try:
        index, _ = read_record(run / IMAGE_INDEX, ImageIndex)
    except UserError:
        return []
    return [_scene(run / "images" / task.dir, task) for task in index.tasks[:SCENES]]


def _scene(folder: Path, task: TaskImages) -> SceneFiles:
    pairs: list[tuple[Path, Path]] = []
    for support in supports_of(task)[-1:]:
        maps = f"{support.folder}-structure"
        pairs = [(folder / support.folder / f"{name}.png", folder / maps / f"{name}.png") for name in support.images]
    whole = all(path.is_file() for pair in pairs for path in pair)
    queries = [path for name in task.queries if (path := folder / "structure" / f"{name}.png").is_file()]
    return SceneFiles(task.id, folder, pairs if whole else (), queries)


def maps_of_scenes(scenes: Sequence[SceneFiles], spec: TaskSpec) -> Iterator[ShelfMap]:
    """Yield the first query's map of each scene; one that cannot be read is left out."""
    for scene in scenes:
        for path in scene.queries[:1]:
            try:
                ids = read_map(path, spec).argmax(0).numpy()
            except UserError:
                continue
            yield ShelfMap(f"{scene.title}, query {path.stem}", ids)


def maps_of_support(model: PageModel) -> Iterator[ShelfMap]:
    """Yield the label maps of a model's support."""
    if "structure" not in model.model.support or model.model.spec.field("structure").kind != "onehot":
        return
    maps: torch.Tensor = model.model.support["structure"].argmax(1)
    for n, ids in enumerate(maps):
        yield ShelfMap(f"{model.title}, support {n + 1}", ids.numpy())
