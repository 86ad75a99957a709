"""`RetrievedRows`: pairs of retrieved scenes that join the batches of an inner loop; and how often each is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import torch

from metai2i.batch import Batch
from metai2i.data.spacing import evenly_spaced
from metai2i.randomness import Randomness
from metai2i.tasks import Task

if TYPE_CHECKING:
    from metai2i.data.sampling import Sampling

MOST_PAIRS = 16
"""Pairs of a retrieved scene that are loaded to be drawn from, evenly spaced, where it has more."""

T = TypeVar("T")


@dataclass(frozen=True)
class RetrievedRows:
    """Pairs of retrieved scenes of which some join every batch of an inner loop.

    Args:
        scenes: the pairs of each scene; one that is to be drawn more often stands here more often.
        count: pairs that join a batch.
    """

    scenes: tuple[Batch, ...]
    count: int

    @staticmethod
    def of(tasks: Sequence[Task], count: int, device: torch.device | str) -> RetrievedRows:
        """Load at most `MOST_PAIRS` pairs of each scene.

        Args:
            tasks: the scenes, as often as they are to be drawn (`weighted`); each is loaded once.
            count: pairs that join a batch.
            device: where the batches are.
        """
        different = {id(task): task for task in tasks}
        loaded = {key: task.load(evenly_spaced(len(task), MOST_PAIRS)).to(device) for key, task in different.items()}
        return RetrievedRows(tuple(loaded[id(task)] for task in tasks), count)

    def batch(self, sampling: Sampling, rng: Randomness) -> Batch:
        """Return `count` pairs, each of a scene drawn evenly from `scenes`, augmented, and with a reference of its own
        scene where one is needed.
        """
        drawn = torch.randint(len(self.scenes), (self.count,), generator=rng.at("scenes").generator()).tolist()
        return Batch.cat([sampling.support(self.scenes[place], 1, rng.at("row", n)) for n, place in enumerate(drawn)])


def weighted(scenes: Sequence[T], weights: Literal["equal", "rank"]) -> list[T]:
    """Return the scenes, best first, each as often as its weight says, so that an even draw follows the weights.

    Args:
        scenes: the most similar first.
        weights: all alike, or the n-th (nearly) 1/n times as often as the first.

    >>> weighted("abcde", "rank"), weighted("abc", "equal")
    (['a', 'a', 'a', 'a', 'a', 'b', 'b', 'c', 'c', 'd', 'e'], ['a', 'b', 'c'])
    """
    if weights == "equal":
        return list(scenes)
    return [scene for rank, scene in enumerate(scenes, 1) for _ in range(round(len(scenes) / rank))]
