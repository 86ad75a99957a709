"""`PairedScene`: a scene whose samples are pairs of files, a photograph and its label map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.decoding import Size
from metai2i.data.digests import content_digests
from metai2i.data.images import as_photographs
from metai2i.data.spacing import evenly_spaced
from metai2i.tasks import Task

P = TypeVar("P")
P_contra = TypeVar("P_contra", contravariant=True)


class PairReader(Protocol[P_contra]):
    """Reads the pairs of a data set at one size, H x W."""

    @property
    def classes(self) -> int:
        """Return how many classes label maps have."""

    @property
    def size(self) -> Size:
        """Return H and W."""

    @property
    def reading(self) -> str:
        """Return what decides, beside files and size, how images turn out; a version, say."""

    def files(self, pair: P_contra) -> tuple[Path, ...]:
        """Return the files of a pair, the photograph first."""

    def photo(self, pair: P_contra) -> np.ndarray:
        """Return the photograph: (H, W, 3) uint8."""

    def labels(self, pair: P_contra) -> np.ndarray:
        """Return the label map: (H, W) class ids, whole numbers from 0."""

    def instances(self, pair: P_contra) -> np.ndarray | None:
        """Return (H, W) int64 instance ids, each within one class; None where they are not there or not asked for."""


class PairedScene(Task, Generic[P]):
    """The pairs of a scene, in their order.

    Args:
        id: the scene's.
        pairs: whatever the reader takes.
        images: the reader.
    """

    def __init__(self, id: str, pairs: Sequence[P], images: PairReader[P]) -> None:
        self.id = id
        self.pairs = tuple(pairs)
        self.images = images

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the files of all pairs, pair by pair."""
        return tuple(path for pair in self.pairs for path in self.images.files(pair))

    def __len__(self) -> int:
        return len(self.pairs)

    def load(self, indices: Sequence[int]) -> Batch:
        """Return `structure` (N, C, H, W) one-hot, `target` (N, 3, H, W) in [-1, 1], and `instances` (N, H, W) int64
        where the reader has them.

        Raises:
            UserError: naming the file, for an image that cannot be read or an id that is out of range.
        """
        labels = self._labels(indices)
        structure = torch.zeros(len(labels), self.images.classes, *labels.shape[1:])
        structure.scatter_(1, labels[:, None], 1.0)
        target = as_photographs([self.images.photo(self.pairs[index]) for index in indices])
        batch = Batch(structure=structure, target=target)
        ids = [self.images.instances(self.pairs[index]) for index in indices]
        known = [each for each in ids if each is not None]
        return batch.replace(instances=torch.from_numpy(np.stack(known))) if len(known) == len(ids) else batch

    def maps(self, limit: int = 16) -> Tensor:
        """Return (N, H, W) int64 ids of at most `limit` evenly spaced pairs; no photograph is read."""
        return self._labels(evenly_spaced(len(self), limit))

    def fingerprint(self) -> str:
        """Return names and contents of the scene's files, and how they are read."""
        files = list(zip((path.name for path in self.files), content_digests(self.files), strict=True))
        return repr((self.images.reading, self.images.size, files))

    def _labels(self, indices: Sequence[int]) -> Tensor:
        return torch.from_numpy(np.stack([self.images.labels(self.pairs[index]) for index in indices])).long()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r}, {len(self)} pairs)"
