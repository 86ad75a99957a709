"""Training scenes that look like an unseen one, and scenes on which the general model errs as on it.

The bilevel paper retrieves by label maps (Eq. 3). Two people may hold their heads alike and look nothing alike: these
retrievers compare photographs instead, by features of VGG-16.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from metai2i import Batch, Count, Match, Register, Retriever, Task, check_range, hookimpl
from metai2i.data import evenly_spaced
from metai2i.losses import network


class _ByVector(Retriever):
    """Compares scenes by one vector each: the cosine of the angle between two, seen from the candidates' mean.

    From the mean, since all vectors have most in common, which would leave all cosines near 1.
    """

    feature_networks: ClassVar[frozenset[str]] = frozenset({"vgg16"})

    def __init__(self, *, frames: Count = 4) -> None:
        check_range("retriever.frames", frames, Count)
        self.frames = frames
        self._network = network("vgg16")
        self._tasks: tuple[Task, ...] = ()

    @abstractmethod
    def vector(self, samples: Batch) -> Tensor:
        """Return what stands for some samples of one scene, (512,)."""

    def index(self, tasks: Sequence[Task]) -> None:
        """Look at the candidates, `frames` samples of each; replace an earlier index."""
        self._tasks = tuple(tasks)
        if tasks:
            vectors = torch.stack([self._vector_of(task) for task in tasks])  # N 512
            self._mean = vectors.mean(0)
            self._directions = _direction(vectors - self._mean)

    def query(self, support: Batch, k: int) -> Sequence[Match]:
        """Return the `k` candidates of the highest cosine, in [-1, 1], best first; ties in the order of the index."""
        if not self._tasks:
            return []
        direction = _direction(self.vector(support) - self._mean)
        cosines = (self._directions * direction).sum(1)
        best = torch.sort(cosines, descending=True, stable=True).indices[:k].tolist()
        return [Match(self._tasks[place], float(cosines[place])) for place in best]

    def naive(self, support: Batch, task: Task) -> float:
        """Return the score between a support and a task by plain sums."""
        means = self._mean.tolist()
        asked, known = (
            [value - mean for value, mean in zip(vector.tolist(), means, strict=True)]
            for vector in (self.vector(support), self._vector_of(task))
        )
        length = math.hypot(*asked) * math.hypot(*known)
        return math.fsum(a * b for a, b in zip(asked, known, strict=True)) / length if length else 0.0

    def _vector_of(self, task: Task) -> Tensor:
        return self.vector(task.load(evenly_spaced(len(task), self.frames)))

    def _features(self, images: Tensor) -> Tensor:
        """Return the features of images (B, 3, H, W) in [-1, 1], the mean over pixels and images: (512,) float64."""
        with torch.no_grad():
            features: Tensor = self._network(images.cpu(), ["relu4_3"])[0]
        return features.double().mean((0, 2, 3))


class Appearance(_ByVector):
    """Finds the training scenes whose photographs look most like those of the support.

    A scene is the mean of VGG-16's `relu4_3` over the pixels of its photographs.

    Args:
        frames: how many photographs of a candidate are looked at, evenly spaced.

    Raises:
        UserError: for fewer frames than 1.
    """

    needs = frozenset({"target"})

    def vector(self, samples: Batch) -> Tensor:
        """Return the mean features of the photographs."""
        return self._features(samples["target"])


class Errors(_ByVector):
    """Finds the training scenes on which the general model errs most like on the support.

    A scene is the mean of VGG-16's `relu4_3` over its photographs, less that over what the general model makes
    of them, before it is adapted.

    Args:
        frames: how many samples of a candidate are looked at, evenly spaced.

    Raises:
        UserError: for fewer frames than 1.
    """

    needs = frozenset({"target", "fake"})

    def vector(self, samples: Batch) -> Tensor:
        """Return the mean features of the photographs, less those of what the model makes."""
        return self._features(samples["target"]) - self._features(samples["fake"])


def _direction(vectors: Tensor) -> Tensor:
    """Return vectors of length 1; one of zeros stays, and is like none."""
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return vectors / lengths.clamp(min=torch.finfo(vectors.dtype).tiny)


@hookimpl
def register_retrievers(register: Register) -> None:
    """Hand over `appearance` and `errors`."""
    register("appearance", Appearance)
    register("errors", Errors)
