"""`Record`: one photograph of a data set with the files that its map is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from metai2i import Location

Part = Literal["train", "test"]
"""A split as the data set has it: what trains, and what its authors test on."""
PARTS: tuple[Part, ...] = ("train", "test")


@dataclass(frozen=True)
class Record:
    """One photograph, as files.

    Args:
        name: unique within the data set.
        scene: what it belongs to: a category, a person, an outfit; None where the data does not say.
        photo: need not exist where a list names it.
        maps: what its map is made of, at least one; need not exist.
        twins: files of which nobody knows which is meant, where there are several.
        listed: where a list names it.
    """

    name: str
    scene: str | None
    photo: Path
    maps: tuple[Path, ...]
    twins: tuple[Path, ...] = ()
    listed: Location | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the photograph and all that its map is made of."""
        return (self.photo, *self.maps)
