"""From the files of a pair to arrays: photographs, and label maps in the common ids."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np

from metai2i import UserError
from metai2i.decoding import Size, fit_labels, fit_photo, opened
from metai2i_street.labels import OTHER
from metai2i_street.records import Record
from metai2i_street.tables import UNKNOWN, ColourTable, IdTable


class Reader(ABC):
    """Reads the pairs of one layout. All methods raise UserError, naming the file, for what cannot be read."""

    @abstractmethod
    def check(self, record: Record) -> None:
        """Looks at what costs little: that the files are there and their headers agree."""

    @abstractmethod
    def photo(self, record: Record, size: Size) -> np.ndarray:
        """(H, W, 3) uint8."""

    @abstractmethod
    def labels(self, record: Record, size: Size) -> np.ndarray:
        """(H, W) uint8 common ids."""


class TwoFiles(Reader):
    """A photograph and a label map of the same size in a file each."""

    def check(self, record: Record) -> None:
        """Both files are there, are pictures, and have one size."""
        with opened(record.photo) as image:
            photo = image.size
        if not record.label.exists():
            raise UserError(f"the photograph has no label map; expected {record.label}", where=record.photo)
        with opened(record.label) as image:
            label = image.size
        if photo != label:
            raise UserError(
                f"the label map is {_size(label)}, its photograph {record.photo} {_size(photo)} (width x height)",
                where=record.label,
            )

    def photo(self, record: Record, size: Size) -> np.ndarray:
        """The photograph, resized and cut to `size`."""
        with opened(record.photo) as image:
            return fit_photo(image, size)


class IdReader(TwoFiles):
    """Label maps of ids in one channel."""

    def __init__(self, table: IdTable) -> None:
        self.table = table

    def labels(self, record: Record, size: Size) -> np.ndarray:
        """The ids, each checked against the table and mapped."""
        with opened(record.label) as image:
            if len(image.getbands()) != 1:
                raise UserError(
                    f"expected label ids in one channel, got a picture of mode {image.mode}", where=record.label
                )
            ids = np.asarray(image)
        mapped: np.ndarray = self.table.lookup[fit_labels(self._checked(ids, record.label), size)]
        return mapped

    def _checked(self, ids: np.ndarray, path: Path) -> np.ndarray:
        bad = ids[(ids < 0) | (ids > 255)] if ids.dtype != np.uint8 else ids[:0]
        if not bad.size:
            ids = ids.astype(np.uint8, copy=False)
            present = np.bincount(ids.ravel(), minlength=256) > 0
            bad = np.flatnonzero(present & (self.table.lookup == UNKNOWN))
        if bad.size:
            raise UserError(f"label id {bad.flat[0]} is out of range, expected {self.table.expected}", where=path)
        return ids


class ColourReader(TwoFiles):
    """Label maps of exact colours; a colour that the table does not have is `other`."""

    def __init__(self, table: ColourTable) -> None:
        self.table = table
        keys = _packed(table.colours)
        self._order = np.argsort(keys)
        self._keys = keys[self._order]

    def labels(self, record: Record, size: Size) -> np.ndarray:
        """The colours, mapped.

        Raises:
            UserError: also when most pixels have unknown colours, for then it is no such label map.
        """
        with opened(record.label) as image:
            if len(image.getbands()) < 3 and image.mode != "P":
                raise UserError(
                    f"expected a label map of colours, got a picture of mode {image.mode}", where=record.label
                )
            colours = np.asarray(image.convert("RGB"))
        packed = _packed(fit_labels(colours, size))
        at = np.searchsorted(self._keys, packed).clip(max=len(self._keys) - 1)
        known = self._keys[at] == packed
        if known.mean() < 0.5:
            raise UserError(
                f"{100 * (1 - known.mean()):.0f} % of the pixels have colours that are not in the mapping table "
                f"{self.table.name!r}",
                where=record.label,
                hint="give the right table by tasks.mapping",
            )
        return np.where(known, self.table.ids[self._order][at], OTHER).astype(np.uint8)


def _packed(colours: np.ndarray) -> np.ndarray:
    r, g, b = (colours[..., channel].astype(np.int32) for channel in range(3))
    return (r << 16) | (g << 8) | b


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
