"""`KeptPhotographs`: photographs of a source at one size, kept as bytes in memory and on the disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from metai2i.data.decoding import Size, fit_photo
from metai2i.data.disk_cache import cached
from metai2i.data.memory_cache import MemoryCache
from metai2i.data.photographs import read_photograph


@dataclass(frozen=True)
class KeptPhotographs:
    """Reads photographs at one size, and keeps what it has read.

    Args:
        source: the task source's name.
        size: (height, width) of the images.
        cache: keeps them in memory; the disk does, too, where there is a folder for it.
        reading: changes when the same files would give other images.
        read: gives the image in a file.
    """

    source: str
    size: Size
    cache: MemoryCache
    reading: str
    read: Callable[[Path], Image.Image] = read_photograph

    def __call__(self, path: Path) -> np.ndarray:
        """Return the photograph, (H, W, 3) uint8, not to be written to.

        Raises:
            UserError: naming the file, when it cannot be read.
        """
        how = (self.source, "photo", self.reading, self.size)
        return self.cache.get(path, lambda: cached(path, how, lambda: fit_photo(self.read(path), self.size)))
