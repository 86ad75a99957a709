"""The label space that all street data sets are brought to: 19 classes of Cityscapes and `other`."""

from __future__ import annotations

import csv
from importlib.resources import files


def _rows() -> list[dict[str, str]]:
    with (files("metai2i_street") / "data" / "classes.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


CLASSES: tuple[str, ...] = tuple(row["name"] for row in _rows())
"""Class names by id, 0 (road) to 19 (other)."""

PALETTE: tuple[tuple[int, int, int], ...] = tuple((int(r["r"]), int(r["g"]), int(r["b"])) for r in _rows())
"""The Cityscapes colour of each id, (R, G, B) in 0..255; other is black."""

OTHER = len(CLASSES) - 1
"""The id of all that is unlabelled or in no class."""
