"""What the general model makes of scenes, for retrievers that look for scenes on which it errs alike (`fake`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from metai2i.batch import Batch
from metai2i.data.reference import Reference
from metai2i.data.spacing import evenly_spaced
from metai2i.field import FAKE
from metai2i.guards.handed_over import matches_of
from metai2i.randomness import Randomness
from metai2i.recipe.schema import Row
from metai2i.retriever import Match, Retriever
from metai2i.tasks import Task, batch_digest
from metai2i.training.driving import translate
from metai2i.translator import Step, Translator

Faked = Callable[[Batch, Batch, Randomness], Batch]
"""Adds the field `fake` to pairs of a scene, given pairs of it that references may come from, and an address."""

POOL = 16
"""Pairs of a scene that the references of its pairs are taken from, evenly spaced."""


class FakedTask(Task):
    """A scene whose samples come with what the general model makes of them.

    Args:
        task: the scene.
        faked: makes it.
        rng: the address of what is drawn for it.
        pool: pairs of the scene that references are taken from, at most; 0 where none are needed.
    """

    def __init__(self, task: Task, faked: Faked, rng: Randomness, pool: int) -> None:
        self.task, self.id = task, task.id
        self._faked, self._rng, self._pool = faked, rng, pool

    def __len__(self) -> int:
        return len(self.task)

    def load(self, indices: Sequence[int]) -> Batch:
        """Return the samples of the scene, with `fake`, which is the same for a sample whatever comes with it."""
        samples, pool = self.task.load(indices), evenly_spaced(len(self.task), self._pool)
        others = self.task.load(pool) if pool else samples.select([])
        faked = []
        for n, index in enumerate(indices):
            rest = [place for place, other in enumerate(pool) if other != index]
            faked.append(self._faked(samples.select([n]), others.select(rest), self._rng.at(int(index))))
        return Batch.cat(faked) if faked else samples

    def maps(self, limit: int = 16) -> torch.Tensor:
        """Return the label maps of the scene, for which no image is made."""
        return self.task.maps(limit)

    @property
    def files(self) -> Sequence[Path]:
        """Return the files of the scene."""
        return self.task.files

    @property
    def support_only(self) -> frozenset[int]:
        """Return the places that episodes of the scene never judge."""
        return self.task.support_only


class FakeSeeing(Retriever):
    """A retriever that is shown, with the samples of each scene, what the general model makes of them.

    Args:
        retriever: whose `needs` have `fake`.
        faked: makes it.
        rng: the address of what the translator draws for it.
        pool: pairs of a scene that references are taken from, at most; 0 where none are needed.
    """

    def __init__(self, retriever: Retriever, faked: Faked, rng: Randomness, pool: int) -> None:
        self.retriever, self._faked, self._rng, self._pool = retriever, faked, rng, pool
        self.needs = retriever.needs  # type: ignore[misc]  # a class attribute of others

    def index(self, tasks: Sequence[Task]) -> None:
        """Take in the candidates."""
        self.retriever.index([FakedTask(task, self._faked, self._rng.at(task.id), self._pool) for task in tasks])

    def query(self, support: Batch, k: int) -> Sequence[Match]:
        """Return the most similar scenes, as they were given to `index`."""
        rng, every = self._rng.at("support", batch_digest(support)), range(support.size)
        pairs = [
            self._faked(support.select([n]), support.select([m for m in every if m != n]), rng.at(n)) for n in every
        ]
        matches = matches_of(self.retriever, Batch.cat(pairs), k)
        return [Match(without_fakes(match.task), match.score) for match in matches]


def by_plugin(retriever: Retriever) -> Retriever:
    """Return the retriever that a plugin has made, without what the host puts around it."""
    return retriever.retriever if isinstance(retriever, FakeSeeing) else retriever


def without_fakes(task: Task) -> Task:
    """Return a scene without what the general model makes of it."""
    return task.task if isinstance(task, FakedTask) else task


def shown_fakes(
    retriever: Retriever, gp: Translator, row: Row, reference: Reference | None, rng: Randomness, device: torch.device
) -> Retriever:
    """Return a retriever that is shown what the general model makes of scenes, if it asks for it; else the same.

    The reference of a pair is another photograph of its scene; in a scene of a single one it is that one, varied.

    Args:
        gp: the general model; it is untouched.
        row: says in which way the translator is asked.
        reference: gives references, where the translator needs them.
        rng: the address of what is drawn for it.
        device: where the general model is.
    """
    if FAKE not in retriever.needs:
        return retriever

    def faked(pair: Batch, others: Batch, here: Randomness) -> Batch:
        shown = pair
        if reference is not None:
            pool = Batch.cat([pair, others]) if others.size else pair
            shown = pair.replace(**reference.for_support(pool, torch.zeros(1, dtype=torch.long), here.at("reference")))
        image = translate(gp, shown.to(device), Step(here, phase=gp.phases[-1]), row.evaluate.way)
        return pair.replace(**{FAKE: image.cpu()})

    return FakeSeeing(retriever, faked, rng, 0 if reference is None else POOL)
