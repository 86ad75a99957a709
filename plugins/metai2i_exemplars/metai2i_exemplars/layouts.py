"""What a layout is, and finding the one in which a data set lies in a folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from metai2i import Field, UserError
from metai2i.data import Remark, Size
from metai2i_exemplars.records import Part, Record

Kept = tuple[np.ndarray, tuple[Remark, ...]]
PHOTOS = (".jpg", ".jpeg", ".png")


class Layout(ABC):
    """One data set in one folder, in the way in which people have it.

    Args:
        folder: where it lies.
    """

    name: ClassVar[str]
    """As `tasks.layout` names it."""
    title: ClassVar[str]
    """For people."""
    folders: ClassVar[tuple[str, ...]]
    """How its folder may be called, in small letters, where it lies in the named one."""
    looked_for: ClassVar[str]
    """What tells it, for people."""
    on_disk: ClassVar[bool] = True
    """Whether what was read of a map is small enough to be kept on the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    @abstractmethod
    def there(folder: Path) -> bool:
        """Return whether the data set lies in a folder."""

    @property
    @abstractmethod
    def field(self) -> Field:
        """Return what `structure` is."""

    @property
    def reading(self) -> str:
        """Return what decides, beside files and size, how maps turn out."""
        return self.name

    @abstractmethod
    def records(self) -> Mapping[Part, Sequence[Record]]:
        """Return the photographs of each split, in a fixed order.

        Raises:
            UserError: naming file and line, for lists that are not as they should be.
        """

    @abstractmethod
    def check(self, record: Record) -> None:
        """Look at what costs little: that the files are there and their headers agree.

        Raises:
            UserError: naming the file.
        """

    @abstractmethod
    def read(self, record: Record, size: Size) -> Kept:
        """Return the map at a size, (H, W) or (H, W, C) uint8, as it is kept, and what is to be said about it.

        `ids` and `levels` make a field of what is kept.

        Raises:
            UserError: naming the file.
        """

    def ids(self, kept: np.ndarray) -> np.ndarray:
        """Return (H, W) class ids of what `read` gave, for retrievers and label maps."""
        return kept

    def levels(self, kept: np.ndarray) -> np.ndarray:
        """Return (C, H, W) uint8 levels of what `read` gave: 255 in the channel of each pixel's class."""
        levels: np.ndarray = np.eye(self.field.channels, dtype=np.uint8)[self.ids(kept)] * np.uint8(255)
        return levels.transpose(2, 0, 1)


def refuse_missing(record: Record, what: str) -> None:
    """Refuse a photograph that is not there, or has no map.

    Args:
        what: what the map is called.

    Raises:
        UserError: naming the photograph, or the line of the list that has it.
    """
    if not record.photo.exists() and record.listed is not None:
        raise UserError(f"the list has {record.name!r}, but there is no {record.photo}", where=record.listed)
    if record.photo.exists() and not record.maps[0].exists():
        raise UserError(f"the photograph has no {what}; expected {record.maps[0]}", where=record.photo)


def find_layout(root: Path, layouts: Sequence[type[Layout]], named: str | None) -> tuple[type[Layout], Path]:
    """Return the layout of the data set in `root`, or in a folder of `root` that is called like it, and this folder.

    Args:
        root: where to look.
        layouts: those that there are.
        named: the one that is meant; any when None.

    Raises:
        UserError: when there is none, with what was looked for, or several.
    """
    wanted = [layout for layout in layouts if named in (None, layout.name)]
    in_root = [(layout, root) for layout in wanted if layout.there(root)]
    below = [
        (layout, path)
        for path in _folders(root)
        for layout in wanted
        if _customary(layout, path) and layout.there(path)
    ]
    places = in_root or below
    if len(places) > 1:
        both = " and ".join(f"{layout.title} in {folder}" for layout, folder in places)
        raise UserError(f"several data sets lie here: {both}", where=root,
                        hint="name the folder of one by tasks.root, or one by tasks.layout")  # fmt: skip
    if places:
        return places[0]
    state = "" if root.is_dir() else ", this is a file" if root.exists() else ", the folder does not exist"
    titles = " or ".join(layout.title for layout in wanted)
    lines = [f"  {layout.title} (tasks.layout={layout.name}): {layout.looked_for}" for layout in wanted]
    raise UserError("\n".join([f"no {titles} here{state}; looked for", *lines]), where=root, hint="tasks.root names it")


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if path.is_dir())
    except OSError:
        return []


def _customary(layout: type[Layout], folder: Path) -> bool:
    return folder.name.casefold() in layout.folders
