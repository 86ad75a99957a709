"""A person as a task: photographs and region maps from one clip or session."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from metai2i import Batch, Task
from metai2i.data import content_digests
from metai2i_faces.images import READING, Images
from metai2i_faces.people import Pair
from metai2i_faces.regions import CLASSES


class Person(Task):
    """The pairs of a person, by name."""

    def __init__(self, id: str, pairs: Sequence[Pair], images: Images) -> None:
        self.id = id
        self.pairs = tuple(pairs)
        self.images = images

    @property
    def files(self) -> tuple[Path, ...]:
        """Return photographs and label maps, pair by pair."""
        return tuple(path for pair in self.pairs for path in (pair.photo, pair.labels))

    def __len__(self) -> int:
        return len(self.pairs)

    def load(self, indices: Sequence[int]) -> Batch:
        """Return `structure` (N, 7, H, W) one-hot and `target` (N, 3, H, W) in [-1, 1].

        Raises:
            UserError: naming the file, for an image that cannot be read or an id that is out of range.
        """
        labels = self._labels(indices)
        structure = torch.zeros(len(labels), len(CLASSES), *labels.shape[1:])
        structure.scatter_(1, labels[:, None], 1.0)
        photos = np.stack([self.images.photo(self.pairs[index]) for index in indices])
        target = torch.from_numpy(photos).permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1.0)
        return Batch(structure=structure, target=target.contiguous())

    def maps(self, limit: int = 16) -> Tensor:
        """Return (N, H, W) int64 ids of at most `limit` evenly spaced pairs; no photograph is read."""
        count = min(len(self), limit)
        return self._labels([i * len(self) // count for i in range(count)])

    def fingerprint(self) -> str:
        """Return names and contents of the person's files, and how they are read."""
        files = list(zip((path.name for path in self.files), content_digests(self.files), strict=True))
        return repr((READING, self.images.size, files))

    def _labels(self, indices: Sequence[int]) -> Tensor:
        return torch.from_numpy(np.stack([self.images.labels(self.pairs[index]) for index in indices])).long()

    def __repr__(self) -> str:
        return f"Person({self.id!r}, {len(self)} pairs)"
