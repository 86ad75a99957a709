"""Images on the way: what a model makes of the same few inputs, at intervals of its training, for people to look at.

Nothing of it reaches the training. The images are made by a copy of the model, draw from addresses of their own, and
leave torch's generators as they were; a fault in them is told and costs the images alone.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.contact_sheet import coloured, save_sheet
from metai2i.data.images import to_uint8
from metai2i.data.sampling import Sampling
from metai2i.errors import UserError
from metai2i.field import PHOTOGRAPH
from metai2i.guards.handed_over import adapted_by
from metai2i.randomness import Randomness
from metai2i.strategy import MetaStrategy
from metai2i.tasks import Episode, Task, TaskSpec
from metai2i.training.averages import Averages
from metai2i.training.driving import translate
from metai2i.translator import Step, Translator

log = logging.getLogger("metai2i")

ON_THE_WAY = "on-the-way"
"""Where they lie in a stage's folder: `inputs.png`, `truth.png`, and one for each step that was looked at."""
INPUT_STRIP, TRUTH_STRIP, ADAPTED_ENDING = "inputs.png", "truth.png", "-adapted.png"
LOOKED_SCENES, LOOKED_QUERIES = 2, 2
"""How many scenes are looked at, and queries of each."""


@dataclass(frozen=True)
class WatchedScenes:
    """The inputs that are looked at, the same at every step.

    Args:
        every: steps between two looks.
        episodes: of the scenes, whose queries are translated and whose supports are adapted to.
        spec: of the data, which knows the colours of its classes.
        way: in which the translator is asked; None for its first.
    """

    every: int
    episodes: Sequence[Episode]
    spec: TaskSpec
    way: str | None = None

    @classmethod
    def drawn(
        cls, every: int, tasks: Sequence[Task], shots: int, sampling: Sampling, spec: TaskSpec, way: str | None
    ) -> WatchedScenes:
        """Return the first scenes that are large enough, with a support of `shots` samples."""
        large = [task for task in tasks if len(task) == 1 or len(task) >= shots + LOOKED_QUERIES][:LOOKED_SCENES]
        at = Randomness((ON_THE_WAY,))
        return cls(
            every, [sampling.episode(t, shots, LOOKED_QUERIES, at.at(t.id), unseen=True) for t in large], spec, way
        )


class ImagesOnTheWay:
    """Writes the images of one stage.

    Args:
        folder: of the stage.
        watched: the inputs.
        model: that is trained; it stays as it is.
        device: where it lives.
        phase: of the steps that adapt and translate.
        strategy: by which a copy is adapted besides; None for the model as it is alone.
        average: in whose weights the model is looked at, where there is one.
    """

    def __init__(
        self,
        folder: Path,
        watched: WatchedScenes,
        model: Translator,
        device: torch.device,
        phase: str,
        strategy: MetaStrategy | None = None,
        average: Averages | None = None,
    ) -> None:
        self.folder, self.watched, self.model, self.device = folder / ON_THE_WAY, watched, model, device
        self.phase, self.strategy, self.average = phase, strategy, average

    def look(self, step: int, *, last: bool = False) -> None:
        """Write the images of a step, if it is one to look at.

        Args:
            step: how many steps of training there have been.
            last: whether training is over; that is looked at in any case.
        """
        if not self.watched.episodes or (step % self.watched.every and not last):
            return
        try:
            with Randomness((ON_THE_WAY, "look")).scope():
                self._write(step)
        except (Exception, SystemExit) as error:
            reason = error if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            log.warning("%s: images of step %d are left out: %s", self.folder.parent.name, step, reason)

    def _write(self, step: int) -> None:
        model, strategy = copy.deepcopy((self.model, self.strategy))
        model.__dict__.pop("_inner_loops", None)  # recordings, which copies share
        if self.average is not None:
            self.average.put_into(model)
        outputs: dict[str, list[Tensor]] = {f"{step:08d}.png": []}
        queries: list[Batch] = []
        for number, episode in enumerate(each.to(self.device) for each in self.watched.episodes):
            here = Step(Randomness((ON_THE_WAY, number)), phase=self.phase)
            models = {f"{step:08d}.png": model}
            if strategy is not None:
                models[f"{step:08d}{ADAPTED_ENDING}"] = adapted_by(strategy, model, episode.support, here.at("adapt"))
            for name, each in models.items():
                images = translate(each, episode.query, here.at("translate"), self.watched.way)
                outputs.setdefault(name, []).extend(to_uint8(image).cpu() for image in images)
            queries.append(episode.query)
        self.folder.mkdir(exist_ok=True)
        for name, strip in {INPUT_STRIP: self._inputs(queries), TRUTH_STRIP: truths(queries), **outputs}.items():
            if strip and not (name in (INPUT_STRIP, TRUTH_STRIP) and (self.folder / name).exists()):
                save_strip(self.folder / name, strip)

    def _inputs(self, queries: Sequence[Batch]) -> list[Tensor]:
        strip: list[Tensor] = []
        for query in queries:
            if "structure" in query:
                strip += [coloured(structure.cpu(), self.watched.spec) for structure in query["structure"]]
            elif "source" in query:
                strip += [to_uint8(photo).cpu() for photo in query["source"]]
        return strip


def truths(queries: Sequence[Batch]) -> list[Tensor]:
    """Return the photographs of some queries, (3, H, W) uint8; none where the data has none."""
    return [to_uint8(photo).cpu() for query in queries for photo in query.get(PHOTOGRAPH, ())]


def save_strip(path: Path, images: Sequence[Tensor]) -> None:
    """Write images (3, H, W) uint8 of one size side by side."""
    save_sheet(path, images, across=len(images))


def kept_steps(folder: Path) -> list[int]:
    """Return the steps that there are images of in a folder, in their order."""
    steps = []
    with suppress(OSError):
        for path in folder.iterdir():
            if path.suffix == ".png" and path.stem.isdecimal() and len(path.stem) <= 12:
                steps.append(int(path.stem))
    return sorted(steps)


def spread(steps: Sequence[int], most: int) -> list[int]:
    """Return at most so many steps, evenly spread, with the first and the last.

    >>> spread(range(0, 101, 10), 3)
    [0, 50, 100]
    """
    if len(steps) <= most:
        return list(steps)
    return [steps[round(n * (len(steps) - 1) / (most - 1))] for n in range(most)]


def strip_files(folder: Path, most: int) -> list[str]:
    """Return the names of the files to be shown of a folder: what goes in, at most so many steps, and the truth."""
    steps = [f"{step:08d}" for step in spread(kept_steps(folder), most)]
    names = [f"{step}{ending}" for step in steps for ending in (".png", ADAPTED_ENDING)]
    return [name for name in (INPUT_STRIP, *names, TRUTH_STRIP) if steps and (folder / name).is_file()]


def said_of(name: str) -> str:
    """Return in words what a file shows."""
    if name in (INPUT_STRIP, TRUTH_STRIP):
        return "input" if name == INPUT_STRIP else "truth"
    step = f"step {int(name.partition('.')[0].partition('-')[0]):,}"
    return f"{step}, adapted" if name.endswith(ADAPTED_ENDING) else step
