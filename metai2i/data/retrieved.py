"""`RetrievedRows`: pairs of retrieved scenes that join the batches of an inner loop; and how often each is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from metai2i.batch import Batch
from metai2i.data.spacing import evenly_spaced
from metai2i.randomness import Randomness
from metai2i.tasks import Task

if TYPE_CHECKING:
    from metai2i.data.sampling import Sampling

MOST_PAIRS = 16
"""Pairs of a retrieved scene that are loaded to be drawn from, evenly spaced, where it has more."""


@dataclass(frozen=True)
class RetrievedRows:
    """Pairs of retrieved scenes of which some join every batch of an inner loop.

    Args:
        scenes: the pairs of each scene, the most similar first, on the CPU.
        count: pairs that join a batch.
        weights: how often each scene is drawn; None for all alike.
    """

    scenes: tuple[Batch, ...]
    count: int
    weights: tuple[float, ...] | None = None

    @staticmethod
    def of(tasks: Sequence[Task], count: int, weights: Sequence[float] | None = None) -> RetrievedRows:
        """Load at most `MOST_PAIRS` pairs of each scene, as they are paired for episodes.

        Args:
            tasks: the scenes, the most similar first.
            count: pairs that join a batch.
            weights: how often each scene is drawn; None for all alike.
        """
        loaded = tuple(task.load(evenly_spaced(len(task), MOST_PAIRS)) for task in tasks)
        return RetrievedRows(loaded, count, None if weights is None else tuple(weights))

    def batch(self, sampling: Sampling, rng: Randomness, device: torch.device | str = "cpu") -> Batch:
        """Return `count` pairs, each of a scene that is drawn by the weights, augmented, and with a reference of that
        scene where one is needed.
        """
        drawn = drawn_scenes(len(self.scenes), self.count, self.weights, rng.at("scenes"))
        rows = [sampling.support(self.scenes[place], 1, rng.at("row", n)) for n, place in enumerate(drawn)]
        return Batch.cat(rows).to(device)


def drawn_scenes(scenes: int, count: int, weights: Sequence[float] | None, rng: Randomness) -> list[int]:
    """Return the places of `count` scenes, drawn with replacement by their weights, or evenly without any."""
    chances = torch.ones(scenes) if weights is None else torch.tensor(weights)
    drawn: list[int] = torch.multinomial(chances, count, replacement=True, generator=rng.generator()).tolist()
    return drawn


def scene_weights(scenes: int, weights: Literal["equal", "rank"]) -> list[float] | None:
    """Return how often each of some scenes is drawn, the most similar first: all alike (None), or the n-th 1/n times as
    often as the first.

    >>> scene_weights(3, "rank")
    [1.0, 0.5, 0.3333333333333333]
    """
    return None if weights == "equal" else [1 / rank for rank in range(1, scenes + 1)]
