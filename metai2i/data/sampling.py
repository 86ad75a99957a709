"""`Sampling`: how batches and episodes are drawn from scenes, augmented, and with references where they are needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from metai2i.batch import Batch
from metai2i.data.as_new import AsNew
from metai2i.data.augment import Augment
from metai2i.data.colour_jitter import ColourJitter
from metai2i.data.reference import Reference
from metai2i.data.retrieved import drawn_scenes
from metai2i.errors import UserError
from metai2i.field import FieldLookup, standard_field
from metai2i.randomness import Randomness
from metai2i.registry.declared import of_kind
from metai2i.tasks import Episode, Task


@dataclass(frozen=True)
class Sampling:
    """What is done to samples on their way from a task to a translator.

    Args:
        augment: of pairs, if any.
        reference: how samples get the fields of their exemplars; None for translators that do not need any, and for
            task sources that have them already.
        colour_jitter: other colours for training scenes, if they are given any.
        field: knows what the fields of the data are.
        as_new: makes the domain of an episode's scene a new one; None for the number that it has.
    """

    augment: Augment | None = None
    reference: Reference | None = None
    colour_jitter: ColourJitter | None = None
    field: FieldLookup = standard_field
    as_new: AsNew | None = None

    def mixed(self, tasks: Sequence[Task], size: int, rng: Randomness, weights: Sequence[float] | None = None) -> Batch:
        """Return `size` pairs for plain training, each of a scene drawn from all scenes, augmented.

        Args:
            weights: how often each scene is drawn; None for all alike.
        """
        generator = rng.at("draw").generator()
        if weights is None:
            chosen = torch.randint(len(tasks), (size,), generator=generator).tolist()
        else:
            chosen = drawn_scenes(len(tasks), size, weights, rng.at("scenes"))
        within = torch.rand(size, generator=generator).tolist()
        places = [(tasks[task], int(u * len(tasks[task]))) for task, u in zip(chosen, within, strict=True)]
        if self.reference is None:
            pairs = [drawn_pair(task, index, rng.at("pair", n)) for n, (task, index) in enumerate(places)]
            return self._augmented(self._looking(Batch.cat(pairs), rng), rng)
        listed, pairs, exemplars, of_itself = self.reference.listed(tasks), [], [], []
        for n, (task, index) in enumerate(places):
            here = rng.at("reference", n)
            of_list, itself = listed.get((chosen[n], index)) if listed else None, False
            if of_list is not None:
                there, at = self.reference.of_list(of_list, here)
                itself = (there, at) == (chosen[n], index)
                pair, pool = drawn_pair(task, index, rng.at("pair", n)), tasks[there].load([at])
            elif type(task).draw is not Task.draw:
                rest = others(len(task), index, self.reference.candidates(len(task)), here)
                pair = drawn_pair(task, index, rng.at("pair", n))
                pool = task.load(rest) if rest else pair.select([])
            else:
                loaded = task.load([index, *others(len(task), index, self.reference.candidates(len(task)), here)])
                pair, pool = loaded.select([0]), loaded.select(range(1, loaded.size))
            if not pool.size or bool(self.reference.itself(1, here)):
                pool, itself = pair, True
            of_itself.append(itself)
            pairs.append(pair)
            place = self.reference.choose(pair, pool, here.at("choose")) if pool.size > 1 else None
            exemplars.append(self.reference.shown(pool, place))
        batch = self._looking(Batch.cat(pairs).replace(**Batch.cat(exemplars)), rng)
        shown = Batch(**{name: batch[name] for name in self.reference.names})
        samples = Batch(**{name: field for name, field in batch.items() if name not in shown})
        varied = self.reference.varied(shown, rng.at("reference", "vary"))
        return self._augmented(samples, rng).replace(**self.reference.marked(varied, torch.tensor(of_itself)))

    def episode(self, task: Task, shots: int, queries: int, rng: Randomness, *, unseen: bool = False) -> Episode:
        """Return an episode of a scene whose query has its references; those of the support come when it is drawn from.

        Args:
            unseen: the scene is one to be judged on.
        """
        drawn = task.episode(shots, queries, rng, self.augment)
        if self.as_new is not None:
            drawn = self.as_new(drawn)
        if self.colour_jitter is not None and not unseen:
            look = rng.at("look")
            support, query = self.colour_jitter(drawn.support, look), self.colour_jitter(drawn.query, look)
            drawn = replace(drawn, support=support, query=query)
        if self.reference is None:
            return drawn
        shown = self.reference.for_query(drawn.query, drawn.support, rng.at("reference"), unseen=unseen)
        return replace(drawn, query=drawn.query.replace(**shown))

    def episodes(
        self,
        tasks: Sequence[Task],
        count: int,
        shots: int,
        queries: int,
        rng: Randomness,
        only: Sequence[int] | None = None,
        weights: Sequence[float] | None = None,
    ) -> list[Episode]:
        """Return `count` episodes of scenes drawn without replacement (with, when there are fewer scenes or weights).

        Args:
            only: the places of those that are wanted; all when None.
            weights: how often each scene is drawn; None for all alike.
        """
        if weights is None:
            order = torch.randperm(len(tasks), generator=rng.at("tasks").generator())
            chosen: list[int] = order.repeat(math.ceil(count / len(tasks)))[:count].tolist()
        else:
            chosen = drawn_scenes(len(tasks), count, weights, rng.at("tasks"))
        places = range(count) if only is None else only
        return [self.episode(tasks[chosen[n]], shots, queries, rng.at("draw", n)) for n in places]

    def support(self, support: Batch, size: int, rng: Randomness) -> Batch:
        """Return a batch of an inner loop: a fresh draw from the support, each sample repeated as often as `size` asks
        for.

        A support that is taken whole and as it is comes in its own tensors, so that what is computed from them alone
        can be kept from step to step.
        """
        if self.augment is None and size == support.size:
            return self._referring(support, support, torch.arange(size), rng)
        order = torch.randperm(support.size, generator=rng.at("draw").generator())
        drawn = order.repeat(math.ceil(size / support.size))[:size]
        return self._referring(self._augmented(support.select(drawn), rng), support, drawn, rng)

    def _referring(self, batch: Batch, support: Batch, drawn: torch.Tensor, rng: Randomness) -> Batch:
        """Return a batch drawn from a support, with references where they are needed."""
        if self.reference is None:
            return batch
        return batch.replace(**self.reference.for_support(support, drawn, rng.at("reference")))

    def _looking(self, batch: Batch, rng: Randomness) -> Batch:
        return self.colour_jitter.each(batch, rng.at("look")) if self.colour_jitter else batch

    def _augmented(self, batch: Batch, rng: Randomness) -> Batch:
        return self.augment(batch, rng.at("augment")) if self.augment else batch


def drawn_pair(task: Task, index: int, rng: Randomness) -> Batch:
    """Return what a scene draws for a sample (`Task.draw`).

    Raises:
        UserError: naming the scene, when it is not one sample.
    """
    pair = task.draw(index, rng)
    if not isinstance(pair, Batch) or pair.size != 1:
        got = f"{pair.size} samples" if isinstance(pair, Batch) else of_kind(pair)
        raise UserError(f"draw of the scene {task.id!r} ({type(task).__name__}) gives {got}, expected one sample")
    return pair


def others(size: int, index: int, count: int, rng: Randomness) -> list[int]:
    """Return `count` places of a scene of `size` samples, drawn without replacement, `index` not among them."""
    order = torch.randperm(size, generator=rng.at("others").generator()).tolist()
    return [place for place in order if place != index][:count]
