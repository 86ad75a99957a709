"""Decoded photographs and maps of a layout at one size, and scenes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from metai2i import Augment, Batch, Episode, Randomness, UserError
from metai2i.data import (
    MemoryCache,
    PairedScene,
    Remark,
    Remarks,
    Size,
    as_photographs,
    cached,
    cached_unless_remarked,
    content_digests,
    file_identity,
    fit_photo,
    read_photograph,
)
from metai2i_exemplars.layouts import Layout
from metai2i_exemplars.records import Record

READING = "1"
"""Changes when the same files would give other images or maps."""


@dataclass(frozen=True)
class Images:
    """Photographs and maps, kept as uint8 in memory up to a limit, and on the disk where they are small enough.

    Args:
        layout: reads the maps.
        size: of the images.
        cache: what is kept in memory.
        remarks: what is to be said about the maps.
    """

    layout: Layout
    size: Size
    cache: MemoryCache
    remarks: Remarks = field(default_factory=lambda: Remarks("exemplars"))

    @property
    def classes(self) -> int:
        """Return how many channels `structure` has."""
        return self.layout.field.channels

    @property
    def reading(self) -> str:
        """Return what decides, beside files and size, how images turn out."""
        return f"{READING} {self.layout.reading}"

    def files(self, record: Record) -> tuple[Path, ...]:
        """Return the photograph and the first file of its map: as many for each record."""
        return record.photo, record.maps[0]

    def photo(self, record: Record) -> np.ndarray:
        """Return (H, W, 3) uint8."""

        def read() -> np.ndarray:
            return fit_photo(read_photograph(record.photo), self.size)

        how = ("exemplars", "photo", READING, self.size)
        return self.cache.get(("photo", record.photo), lambda: cached(record.photo, how, read))

    def map(self, record: Record) -> np.ndarray:
        """Return the map as the layout keeps it."""

        def read() -> tuple[np.ndarray, tuple[Remark, ...]]:
            return self.layout.read(record, self.size)

        def kept() -> np.ndarray:
            if not self.layout.on_disk:
                return read()[0]
            beside = [file_identity(path) for path in record.maps[1:] if path.exists()]
            how = ("exemplars", "map", self.reading, self.size, beside)
            return cached_unless_remarked(record.maps[0], how, read, self.remarks)

        return self.cache.get(("map", record.maps[0]), kept)

    def labels(self, record: Record) -> np.ndarray:
        """Return (H, W) class ids."""
        return self.layout.ids(self.map(record))

    def instances(self, record: Record) -> None:
        """Return nothing: there are none."""


class Scene(PairedScene[Record]):
    """Photographs that belong together, with their maps.

    Args:
        id: the scene's.
        pairs: the photographs.
        images: what reads them.
    """

    def __init__(self, id: str, pairs: Sequence[Record], images: Images) -> None:
        super().__init__(id, pairs, images)
        self.reader = images

    def load(self, indices: Sequence[int]) -> Batch:
        """Return `structure` (N, C, H, W), one-hot or in [0, 1], and `target` (N, 3, H, W) in [-1, 1].

        Raises:
            UserError: naming the file, for an image that cannot be read.
        """
        layout = self.reader.layout
        if layout.field.kind == "onehot":
            return super().load(indices)
        records = [self.pairs[index] for index in indices]
        levels = np.stack([layout.levels(self.reader.map(record)) for record in records])
        target = as_photographs([self.reader.photo(record) for record in records])
        return Batch(structure=torch.from_numpy(levels).to(torch.float32).div_(255), target=target)

    def maps(self, limit: int = 16) -> Tensor:
        """Return (N, H, W) int64 ids of at most `limit` evenly spaced photographs.

        Raises:
            UserError: where the data have no label maps.
        """
        return super().maps(limit)

    def fingerprint(self) -> str:
        """Return names and contents of all of the scene's files, and how they are read."""
        paths = [path for record in self.pairs for path in record.files]
        files = [(path.name, digest) for path, digest in zip(paths, content_digests(paths), strict=True)]
        return repr((self.reader.reading, self.reader.size, files))


class ListedScene(Scene):
    """One image to be judged, and the exemplars that a list has for it, which are its support.

    Args:
        id: the scene's.
        image: what is judged.
        exemplars: the easiest first; of any split.
        images: what reads them.
    """

    def __init__(self, id: str, image: Record, exemplars: Sequence[Record], images: Images) -> None:
        super().__init__(id, [image, *exemplars], images)

    @property
    def support_only(self) -> frozenset[int]:
        """Return the places of the exemplars."""
        return frozenset(range(1, len(self)))

    def episode(self, shots: int, queries: int, rng: Randomness, augment: Augment | None = None) -> Episode:
        """Return the first `shots` exemplars as the support, and the image as the query.

        Raises:
            UserError: for more shots than there are exemplars, and for more queries than one.
        """
        if queries != 1 or shots >= len(self):
            raise UserError(
                f"scene {self.id!r} of tasks.test_list has {len(self) - 1} exemplars and one image to judge, but an "
                f"episode takes {shots} shots + {queries} queries",
                hint=f"set episodes.queries (or evaluate.queries) to 1, and shots to at most {len(self) - 1}",
            )
        samples = self.load([*range(1, shots + 1), 0])
        return Episode(self.id, samples.select(range(shots)), samples.select([shots]))
