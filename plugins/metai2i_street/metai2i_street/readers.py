"""From the files of a pair to arrays: photographs, and label maps in the common ids."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np

from metai2i import UserError
from metai2i.data import LabelMap, Legend, Size, check_same_size, fit_labels, fit_photo, read_label_map, read_photograph
from metai2i_street.instances import cityscapes_ids
from metai2i_street.labels import CLASSES, OTHER
from metai2i_street.records import Record
from metai2i_street.tables import ColourTable, IdTable, Tables


class Reader(ABC):
    """Reads the pairs of one layout. All methods raise UserError, naming the file, for what cannot be read."""

    @abstractmethod
    def check(self, record: Record) -> None:
        """Look at what costs little: that the files are there and their headers agree."""

    @abstractmethod
    def photo(self, record: Record, size: Size) -> np.ndarray:
        """Return (H, W, 3) uint8."""

    @abstractmethod
    def labels(self, record: Record, size: Size) -> LabelMap:
        """Return (H, W) uint8 common ids, and what is to be said about them."""


class TwoFiles(Reader):
    """A photograph and a label map of the same size in a file each.

    Args:
        legend: what the numbers and colours of the maps mean in common ids.
    """

    def __init__(self, legend: Legend) -> None:
        self.legend = legend

    def check(self, record: Record) -> None:
        """Refuse a pair unless both files are there, are images, and have one size when they are held upright."""
        if record.photo.exists() and not record.label.exists():
            raise UserError(f"the photograph has no label map; expected {record.label}", where=record.photo)
        check_same_size(record.photo, record.label)

    def photo(self, record: Record, size: Size) -> np.ndarray:
        """Return the photograph, resized and cut to `size`."""
        return fit_photo(read_photograph(record.photo), size)

    def labels(self, record: Record, size: Size) -> LabelMap:
        """Return the map in common ids, each pixel the nearest."""
        labels = read_label_map(record.label, self.legend)
        return LabelMap(fit_labels(labels.classes, size), labels.remarks)


class IdReader(TwoFiles):
    """Label maps of ids, or of the colours of the same classes.

    Args:
        table: what the ids mean.
        colours: what the colours mean.
    """

    def __init__(self, table: IdTable, colours: ColourTable) -> None:
        self.table = table
        hint = f"expected are the ids of the mapping table {table.name!r}; give your own by tasks.mapping"
        super().__init__(Legend(CLASSES, dict(table.ids), colours.ids_by_colour, hint=hint))


class InstanceReader:
    """Instance maps in the ids of Cityscapes, each id within its class.

    Args:
        tables: the mapping tables.
    """

    def __init__(self, tables: Tables) -> None:
        self.labels = tables.ids("cityscapes_ids")

    def ids(self, path: Path, label: Path, legend: Legend, size: Size) -> np.ndarray:
        """Return (H, W) int64 ids, each pixel the nearest.

        Args:
            path: the instance map.
            label: the label map, in which each id must be of its class.
            legend: what the label map's numbers and colours mean.
            size: of the image.
        """
        classes = read_label_map(label, legend).classes
        return fit_labels(cityscapes_ids(path, classes, self.labels), size)


class ColourReader(TwoFiles):
    """Label maps of exact colours; a few pixels of colours that the table does not have are `other`."""

    def __init__(self, table: ColourTable) -> None:
        self.table = table
        hint = f"expected are the colours of the mapping table {table.name!r}; give your own by tasks.mapping"
        super().__init__(Legend(CLASSES, colours=table.ids_by_colour, rest=OTHER, hint=hint))
