"""A scene that has been scored, kept so that an interrupted evaluation goes on behind it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from metai2i.files import remove
from metai2i.pipeline.stage_store import check_files, entry, stage_files, take_files
from metai2i.stages.scene_scores import SceneScore
from metai2i.tasks import Task
from metai2i.training.sealed import Broken, read_sealed, write_sealed
from metai2i.training.stage_context import StageContext

log = logging.getLogger("metai2i")


@dataclass(frozen=True)
class Scored:
    """The file of a scene that has been scored, from which an interrupted evaluation goes on.

    It carries the stage's key, the scene's id, and digests of the scene's images.

    Args:
        place: of the stage.
        task: the scene.
        number: its place among the scenes.
    """

    place: StageContext
    task: Task
    number: int

    @property
    def path(self) -> Path:
        """Return where it lies."""
        return self.place.folder / "tasks" / f"{self.number:05}.json"

    def read(self) -> SceneScore:
        """Return what `score` told of the scene.

        Raises:
            Broken: when the file is damaged, or that of another stage or scene, or an image is not what was written.
        """
        about = read_sealed(self.path, stage=self.place.key, task=self.task.id)
        check_files(self.place.folder, take_files(about, self.path.name), content=True)
        return cast(SceneScore, {name: value for name, value in about.items() if name != "stage"})

    def is_there(self) -> bool:
        """Return whether the scene has been scored; that its file is damaged is told."""
        if not self.path.exists():
            return False
        try:
            self.read()
        except Broken as error:
            log.warning("%s: %s; task %r is scored anew", self.place.title, error, self.task.id)
            return False
        return True

    @property
    def features(self) -> Path:
        """Return where lies what metrics of sets look at, until all scenes have been scored."""
        return self.place.folder / "features" / f"{self.number:05}.safetensors"

    def clear(self, images: Path | None) -> None:
        """Remove what is left of it, of its features and of its images."""
        for path in (self.path, self.features, *([images] if images is not None else [])):
            remove(path)

    def write(self, score: SceneScore, images: Path | None) -> None:
        """Write what `score` told, and digests of its images and features."""
        saved = [*(stage_files(images) if images is not None else []), *stage_files(self.features)]
        files = {path.relative_to(self.place.folder).as_posix(): entry(path) for path in saved}
        write_sealed(self.path, {**score, "stage": self.place.key, "files": files})
