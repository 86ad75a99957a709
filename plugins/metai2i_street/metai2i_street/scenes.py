"""Scenes as tasks: a clip of frames, or a single pair."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from metai2i.data import (
    MemoryCache,
    PairedScene,
    Remark,
    Remarks,
    Size,
    cached,
    cached_unless_remarked,
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

    @property
    def classes(self) -> int:
        """Return how many common classes there are."""
        return len(CLASSES)

    def files(self, record: Record) -> tuple[Path, ...]:
        """Return photograph and maps; of one image with both sides the same file twice."""
        return record.files

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

    def instances(self, record: Record) -> np.ndarray | None:
        """Return (H, W) int64 ids, each within its class; None where they are not asked for."""
        path, reader, labels = record.instances, self.instance_reader, self.reader
        if reader is None:
            return None
        assert path is not None
        assert isinstance(labels, TwoFiles)

        def read() -> np.ndarray:
            return packed(reader.ids(path, record.label, labels.legend, self.size))

        def kept() -> np.ndarray:
            identity = file_identity(record.label) if record.label.exists() else None
            return cached(path, ("street", "instances", self.reading, self.size, identity), read)

        return unpacked(self.cache.get(("instances", path), kept))


class Scene(PairedScene[Record]):
    """The pairs of a scene, in the order in which they were taken."""


def neighbouring(scenes: Sequence[Scene], count: int, *, by_place: bool = True) -> list[Scene]:
    """Return scenes of `count` successive pairs each, of scenes of one pair; what is left over at the end is left out.

    Args:
        scenes: of one pair each.
        count: of pairs.
        by_place: whether names that differ before their first digit (`aachen_000000` and `bochum_000000`) are of
            different places, and do not come into one scene. Names of hexadecimal digits (BDD100K) tell of no place.
    """
    places: dict[str, list[Scene]] = {}
    for scene in scenes:
        place = re.split(r"\d", scene.id, maxsplit=1)[0] if by_place else ""
        places.setdefault(place, []).append(scene)
    groups = [place[at : at + count] for place in places.values() for at in range(0, len(place) - count + 1, count)]
    return [Scene(group[0].id, [r for scene in group for r in scene.pairs], group[0].images) for group in groups]
