"""Scenes as tasks: a clip of frames, or a single pair."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from metai2i import Batch, Task
from metai2i.data import (
    MemoryCache,
    Remark,
    Remarks,
    Size,
    cached,
    cached_unless_remarked,
    content_digests,
    file_identity,
)
from metai2i_street.instances import packed, unpacked
from metai2i_street.labels import CLASSES
from metai2i_street.readers import InstanceReader, Reader, TwoFiles
from metai2i_street.records import Record


@dataclass(frozen=True)
class Images:
    """The decoded images of one data set at one size, kept as uint8: on the disk, and in memory up to a limit.

    Args:
        reader: reads its layout.
        size: of the images.
        cache: what is kept in memory.
        reading: changes when the same files would give other images or maps.
        remarks: what is to be said about the maps.
        instance_reader: reads instance maps, where they are asked for.
    """

    reader: Reader
    size: Size
    cache: MemoryCache
    reading: str
    remarks: Remarks = field(default_factory=lambda: Remarks("street"))
    instance_reader: InstanceReader | None = None

    def photo(self, record: Record) -> np.ndarray:
        """Return (H, W, 3) uint8."""
        how = ("street", "photo", self.reading, self.size)
        return self.cache.get(
            ("photo", record.photo), lambda: cached(record.photo, how, lambda: self.reader.photo(record, self.size))
        )

    def labels(self, record: Record) -> np.ndarray:
        """Return (H, W) uint8 common ids."""
        how = ("street", "labels", self.reading, self.size)

        def read() -> tuple[np.ndarray, tuple[Remark, ...]]:
            labels = self.reader.labels(record, self.size)
            return labels.classes, labels.remarks

        return self.cache.get(
            ("labels", record.label), lambda: cached_unless_remarked(record.label, how, read, self.remarks)
        )

    def instances(self, record: Record) -> np.ndarray:
        """Return (H, W) int64 ids, each within its class."""
        path, reader, labels = record.instances, self.instance_reader, self.reader
        assert path is not None
        assert reader is not None
        assert isinstance(labels, TwoFiles)

        def read() -> np.ndarray:
            return packed(reader.ids(path, record.label, labels.legend, self.size))

        def kept() -> np.ndarray:
            identity = file_identity(record.label) if record.label.exists() else None
            return cached(path, ("street", "instances", self.reading, self.size, identity), read)

        return unpacked(self.cache.get(("instances", path), kept))


class Scene(Task):
    """The pairs of a scene, in the order in which they were taken."""

    def __init__(self, id: str, records: Sequence[Record], images: Images) -> None:
        self.id = id
        self.records = tuple(records)
        self.images = images

    @property
    def files(self) -> tuple[Path, ...]:
        """Return photographs and maps, pair by pair; of one image with both sides the same file twice."""
        return tuple(path for record in self.records for path in record.files)

    def __len__(self) -> int:
        return len(self.records)

    def load(self, indices: Sequence[int]) -> Batch:
        """Return `structure` (N, 20, H, W) one-hot, `target` (N, 3, H, W) in [-1, 1], and `instances` (N, H, W) int64,
        where they are asked for.

        Raises:
            UserError: naming the file, for an image that cannot be read or an id that is out of range.
        """
        labels = self._labels(indices)
        structure = torch.zeros(len(labels), len(CLASSES), *labels.shape[1:])
        structure.scatter_(1, labels[:, None], 1.0)
        photos = np.stack([self.images.photo(self.records[index]) for index in indices])
        target = torch.from_numpy(photos).permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1.0)
        batch = Batch(structure=structure, target=target.contiguous())
        if self.images.instance_reader is None:
            return batch
        ids = np.stack([self.images.instances(self.records[index]) for index in indices])
        return batch.replace(instances=torch.from_numpy(ids))

    def maps(self, limit: int = 16) -> Tensor:
        """Return (N, H, W) int64 ids of at most `limit` evenly spaced pairs; no photograph is read."""
        count = min(len(self), limit)
        return self._labels([i * len(self) // count for i in range(count)])

    def fingerprint(self) -> str:
        """Return names and contents of the scene's files, and how they are read."""
        files = list(zip((path.name for path in self.files), content_digests(self.files), strict=True))
        return repr((self.images.reading, self.images.size, files))

    def _labels(self, indices: Sequence[int]) -> Tensor:
        return torch.from_numpy(np.stack([self.images.labels(self.records[index]) for index in indices])).long()

    def __repr__(self) -> str:
        return f"Scene({self.id!r}, {len(self)} pairs)"


def neighbouring(scenes: Sequence[Scene], count: int) -> list[Scene]:
    """Return scenes of `count` successive pairs each, of scenes of one pair; what is left over at the end is left out.

    Names that differ before their first digit (`aachen_000000` and `bochum_000000`) are of different places, and do
    not come into one scene.
    """
    places: dict[str, list[Scene]] = {}
    for scene in scenes:
        places.setdefault(re.split(r"\d", scene.id, maxsplit=1)[0], []).append(scene)
    groups = [place[at : at + count] for place in places.values() for at in range(0, len(place) - count + 1, count)]
    return [Scene(group[0].id, [r for scene in group for r in scene.records], group[0].images) for group in groups]
