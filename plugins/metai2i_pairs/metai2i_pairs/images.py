"""Decoded photographs and maps at one size, and scenes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from metai2i import Batch, Field
from metai2i.data import (
    KeptPhotographs,
    MemoryCache,
    PairedScene,
    PairFiles,
    Remark,
    Remarks,
    Size,
    as_photographs,
    cached_unless_remarked,
    channels_first,
    fit_labels,
    read_label_map,
)
from metai2i_pairs.classes import Classes

READING = "1"
"""Changes when the same files would give other images or maps."""

COLOURS = Field("map", 3, ("red", "green", "blue"))
"""What the structure is where maps are images."""


@dataclass(frozen=True)
class Images:
    """Photographs and maps, kept as uint8: on the disk, and in memory up to the cache's limit.

    Args:
        size: of the images.
        listed: the classes of maps; None where maps are images.
        cache: what is kept in memory.
        remarks: what is to be said about the maps.
    """

    size: Size
    listed: Classes | None
    cache: MemoryCache
    remarks: Remarks = field(default_factory=lambda: Remarks("pairs"))

    @property
    def classes(self) -> int:
        """Return how many channels `structure` has."""
        return COLOURS.channels if self.listed is None else len(self.listed.names)

    @property
    def reading(self) -> str:
        """Return what decides, beside files and size, how images turn out."""
        return f"{READING} {self.listed}"

    def files(self, pair: PairFiles) -> tuple[Path, ...]:
        """Return the photograph and its map."""
        return pair.photo, pair.map

    def photo(self, pair: PairFiles) -> np.ndarray:
        """Return (H, W, 3) uint8."""
        return self._kept(pair.photo)

    def image(self, pair: PairFiles) -> np.ndarray:
        """Return the map as an image, (H, W, 3) uint8."""
        return self._kept(pair.map)

    def labels(self, pair: PairFiles) -> np.ndarray:
        """Return (H, W) class ids; where maps are images, which of red, green and blue is the strongest."""
        if self.listed is None:
            strongest: np.ndarray = self.image(pair).argmax(-1)
            return strongest
        legend = self.listed.legend

        def read() -> tuple[np.ndarray, tuple[Remark, ...]]:
            labels = read_label_map(pair.map, legend)
            return fit_labels(labels.classes, self.size), labels.remarks

        how = ("pairs", "labels", self.reading, self.size)
        return self.cache.get(pair.map, lambda: cached_unless_remarked(pair.map, how, read, self.remarks))

    def instances(self, pair: PairFiles) -> None:
        """Return nothing: there are none."""

    def _kept(self, path: Path) -> np.ndarray:
        return KeptPhotographs("pairs", self.size, self.cache, READING)(path)


class Scene(PairedScene[PairFiles]):
    """Pairs that belong together.

    Args:
        id: the scene's.
        pairs: in their order.
        images: what reads them.
    """

    def __init__(self, id: str, pairs: Sequence[PairFiles], images: Images) -> None:
        super().__init__(id, pairs, images)
        self.reader = images

    def load(self, indices: Sequence[int]) -> Batch:
        """Return `structure` (N, C, H, W), one-hot or an image in [0, 1], and `target` (N, 3, H, W) in [-1, 1].

        Raises:
            UserError: naming the file, for one that cannot be read.
        """
        if self.reader.listed is not None:
            return super().load(indices)
        pairs = [self.pairs[index] for index in indices]
        structure = channels_first([self.reader.image(pair) for pair in pairs]).div_(255)
        return Batch(structure=structure, target=as_photographs([self.reader.photo(pair) for pair in pairs]))
