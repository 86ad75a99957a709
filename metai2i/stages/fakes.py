"""What the general model makes of scenes, for retrievers that look for scenes on which it errs alike (`fake`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from metai2i.batch import Batch
from metai2i.data.sampling import Sampling
from metai2i.field import FAKE
from metai2i.guards.handed_over import matches_of
from metai2i.randomness import Randomness
from metai2i.recipe.schema import Row
from metai2i.retriever import Match, Retriever
from metai2i.tasks import Task
from metai2i.training.driving import translate
from metai2i.translator import Step, Translator

Faked = Callable[[Batch, Randomness], Batch]
"""Adds the field `fake` to pairs of one scene."""


class FakedTask(Task):
    """A scene whose samples come with what the general model makes of them."""

    def __init__(self, task: Task, faked: Faked, rng: Randomness) -> None:
        self.task, self.id = task, task.id
        self._faked, self._rng = faked, rng

    def __len__(self) -> int:
        return len(self.task)

    def load(self, indices: Sequence[int]) -> Batch:
        """Return the samples of the scene, with `fake`."""
        return self._faked(self.task.load(indices), self._rng)

    def maps(self, limit: int = 16) -> torch.Tensor:
        """Return the label maps of the scene, for which no image is made."""
        return self.task.maps(limit)


class FakeSeeing(Retriever):
    """A retriever that is shown, with the samples of each scene, what the general model makes of them.

    Args:
        retriever: whose `needs` have `fake`.
        faked: makes it.
        rng: the address of what the translator draws for it.
    """

    def __init__(self, retriever: Retriever, faked: Faked, rng: Randomness) -> None:
        self.retriever, self._faked, self._rng = retriever, faked, rng
        self.needs = retriever.needs  # type: ignore[misc]  # a class attribute of others

    def index(self, tasks: Sequence[Task]) -> None:
        """Take in the candidates."""
        self.retriever.index([FakedTask(task, self._faked, self._rng.at(task.id)) for task in tasks])

    def query(self, support: Batch, k: int) -> Sequence[Match]:
        """Return the most similar scenes, as they were given to `index`."""
        matches = matches_of(self.retriever, self._faked(support, self._rng.at("support")), k)
        return [Match(without_fakes(match.task), match.score) for match in matches]


def without_fakes(task: Task) -> Task:
    """Return a scene without what the general model makes of it."""
    return task.task if isinstance(task, FakedTask) else task


def shown_fakes(retriever: Retriever, gp: Translator, row: Row, sampling: Sampling, device: torch.device) -> Retriever:
    """Return a retriever that is shown what the general model makes of scenes, if it asks for it; else the same.

    A sample's reference is another of the samples that are loaded with it.

    Args:
        gp: the general model; it is untouched.
        row: says how many samples at a time, and in which way the translator is asked.
        sampling: gives references.
        device: where the general model is.
    """
    if FAKE not in retriever.needs:
        return retriever
    referring = Sampling(None, sampling.reference, None, sampling.field)

    def faked(samples: Batch, rng: Randomness) -> Batch:
        shown = referring.support(samples, samples.size, rng.at("reference"))
        parts = [range(at, min(at + row.adapt.batch, samples.size)) for at in range(0, samples.size, row.adapt.batch)]
        images = [
            translate(gp, shown.select(part).to(device), Step(rng.at(n), phase=gp.phases[-1]), row.evaluate.way).cpu()
            for n, part in enumerate(parts)
        ]
        return samples.replace(**{FAKE: torch.cat(images)})

    return FakeSeeing(retriever, faked, Randomness(("fakes",)))
