"""The tables that map each data set's own labels to the common ids: CSV files in `data/`, replaceable by a user's.

Tables of ids have the columns `label,name,id`, tables of colours `name,r,g,b,id`. Where the data sets leave a choice
it is ours: CamVid's Truck_Bus becomes bus, RoadShoulder sidewalk, Bicyclist (person and cycle) rider. SegNet's merged
classes are coarser (its cars hold trucks and buses), and Cityscapes' polegroup is a pole wherever only its colour,
which is that of poles, is known; by its id it is other.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

import numpy as np

from metai2i import Location, UserError, did_you_mean
from metai2i.data import expanded
from metai2i_street.labels import CLASSES, OTHER

ID_COLUMNS = ("label", "name", "id")
COLOUR_COLUMNS = ("name", "r", "g", "b", "id")
COLUMNS = {
    "compact_ids": ID_COLUMNS,
    "segnet_ids": ID_COLUMNS,
    "cityscapes_ids": ID_COLUMNS,
    "train_ids": ID_COLUMNS,
    "camvid_colours": COLOUR_COLUMNS,
    "cityscapes_colours": COLOUR_COLUMNS,
}
"""The tables there are, and their columns."""

UNKNOWN = 255
"""What stands in look-up tables for a label that a table does not have."""


@dataclass(frozen=True)
class IdTable:
    """From the ids of a label map (0..255) to the common ids."""

    name: str
    ids: tuple[tuple[int, int], ...]

    @cached_property
    def lookup(self) -> np.ndarray:
        """Return (256,) uint8: the common id of each label, or `UNKNOWN`."""
        table = np.full(256, UNKNOWN, np.uint8)
        for label, to in self.ids:
            table[label] = to
        return table

    @cached_property
    def expected(self) -> str:
        """Return the labels that may occur, for people: "0..18 and 255"."""
        labels = sorted(label for label, _ in self.ids)
        runs: list[list[int]] = []
        for label in labels:
            if runs and label == runs[-1][-1] + 1:
                runs[-1].append(label)
            else:
                runs.append([label])
        return " and ".join(f"{run[0]}..{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


@dataclass(frozen=True)
class ColourTable:
    """From colours (R, G, B) to the common ids; classes have names, by which other colours can be given to them."""

    name: str
    rows: tuple[tuple[str, tuple[int, int, int], int], ...]

    @cached_property
    def colours(self) -> np.ndarray:
        """Return (K, 3) uint8."""
        return np.array([colour for _, colour, _ in self.rows], np.uint8)

    @cached_property
    def ids(self) -> np.ndarray:
        """Return (K,) uint8, the common id of each colour."""
        return np.array([to for _, _, to in self.rows], np.uint8)

    @cached_property
    def ids_by_colour(self) -> dict[tuple[int, int, int], int]:
        """Return the common id of each colour."""
        return {colour: to for _, colour, to in self.rows}

    def recoloured(
        self, path: Path, named: list[tuple[str, tuple[int, int, int], int]], others: IdNames
    ) -> ColourTable:
        """Return the table for a data set that brings its own list of names and colours.

        Args:
            path: the file the list comes from, for messages.
            named: name, colour and line number of each of its classes.
            others: further names that may occur in it.

        Raises:
            UserError: for a class whose name and colour are both unknown.
        """
        by_name = {**others, **{_key(name): to for name, _, to in self.rows}}
        by_colour = {colour: to for _, colour, to in self.rows}
        rows = []
        for name, colour, line in named:
            to = by_name.get(_key(name), by_colour.get(colour))
            if to is None:
                known = [name for name, _, _ in self.rows]
                raise UserError(
                    f"class {name!r} with colour {colour} is not in the mapping table {self.name!r}",
                    where=Location(str(path), line),
                    hint=f"{did_you_mean(name, known)}; or give your own {self.name}.csv by tasks.mapping",
                )
            rows.append((name, colour, to))
        return ColourTable(self.name, tuple(rows))


IdNames = dict[str, int]
"""From class names, as `_key` makes them, to the common ids."""


class Tables:
    """The mapping tables by name: those in `data/`, or a user's in their place.

    Args:
        mapping: a folder with CSV files named like those in `data/`, or one such file; others stay as they are.

    Raises:
        UserError: when nothing of a known name lies there, or a table is not as it should be.
    """

    def __init__(self, mapping: Path | None = None) -> None:
        self._own = _own_tables(mapping) if mapping is not None else {}

    def _text(self, name: str) -> tuple[Path, str]:
        if name in self._own:
            path = self._own[name]
            try:
                return path, path.read_text(encoding="utf-8-sig")
            except (OSError, UnicodeDecodeError) as error:
                raise UserError(f"cannot read the mapping table: {error}", where=path) from None
        resource = files("metai2i_street") / "data" / f"{name}.csv"
        return Path(str(resource)), resource.read_text(encoding="utf-8")

    def ids(self, name: str) -> IdTable:
        """Return the table of ids of that name."""
        path, text = self._text(name)
        rows: dict[int, int] = {}
        for line, row in _csv_rows(path, text, ID_COLUMNS):
            label = _number(path, line, row, "label", 255)
            if label in rows:
                raise UserError(f"the label {label} stands twice", where=Location(str(path), line))
            rows[label] = _number(path, line, row, "id", OTHER)
        return IdTable(name, tuple(rows.items()))

    def colours(self, name: str) -> ColourTable:
        """Return the table of colours of that name."""
        path, text = self._text(name)
        rows: dict[tuple[int, int, int], tuple[str, int]] = {}
        for line, row in _csv_rows(path, text, COLOUR_COLUMNS):
            colour = _colour(path, line, row)
            if colour in rows:
                raise UserError(f"the colour {colour} stands twice", where=Location(str(path), line))
            rows[colour] = (row["name"], _number(path, line, row, "id", OTHER))
        return ColourTable(name, tuple((name, colour, to) for colour, (name, to) in rows.items()))

    def names(self, name: str) -> IdNames:
        """Return the class names of a table of ids."""
        path, text = self._text(name)
        rows = _csv_rows(path, text, ID_COLUMNS)
        return {_key(row["name"]): _number(path, line, row, "id", OTHER) for line, row in rows}

    def digest(self) -> str:
        """Change when any table changes."""
        return hashlib.sha256("\0".join(self._text(name)[1] for name in COLUMNS).encode()).hexdigest()


def class_dict(path: Path) -> list[tuple[str, tuple[int, int, int], int]]:
    """Name, colour and line number of each class in a `class_dict.csv` (`name,r,g,b`, stray spaces allowed)."""
    text = _read(path)
    return [
        (row["name"], _colour(path, line, row), line) for line, row in _csv_rows(path, text, ("name", "r", "g", "b"))
    ]


def label_colors(path: Path) -> list[tuple[str, tuple[int, int, int], int]]:
    """Name, colour and line number of each class in CamVid's `label_colors.txt` (`R G B<tab>Name`)."""
    rows = []
    for line, text in enumerate(_read(path).splitlines(), start=1):
        words = text.split()
        if not words or text.lstrip().startswith("#"):
            continue
        if len(words) < 4:
            raise UserError(f"expected `R G B Name`, got {text.strip()!r}", where=Location(str(path), line))
        row = dict(zip(("r", "g", "b", "name"), (*words[:3], " ".join(words[3:])), strict=True))
        rows.append((row["name"], _colour(path, line, row), line))
    return rows


def _own_tables(mapping: Path) -> dict[str, Path]:
    mapping = expanded(mapping)
    known = [f"{name}.csv" for name in COLUMNS]
    if mapping.is_file():
        if mapping.stem not in COLUMNS:
            raise UserError(
                f"got a mapping table called {mapping.name!r}, expected the name of one of the known tables",
                where=mapping,
                hint=did_you_mean(mapping.name, known),
            )
        return {mapping.stem: mapping}
    tables = {name: mapping / f"{name}.csv" for name in COLUMNS if (mapping / f"{name}.csv").is_file()}
    if not tables:
        what = "has no mapping table" if mapping.is_dir() else "does not exist"
        raise UserError(f"tasks.mapping {what}", where=mapping, hint=f"tables are called {', '.join(known)}")
    return tables


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read: {error}", where=path) from None


def _csv_rows(path: Path, text: str, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and stripped cells of each row; blank lines are passed over."""
    lines = csv.reader(text.splitlines())
    head = [cell.strip() for cell in next(lines, [])]
    if [name for name in columns if name not in head]:
        raise UserError(f"expected the columns {','.join(columns)}, got {','.join(head)}", where=Location(str(path), 1))
    for cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(head):
            raise UserError(f"expected {len(head)} cells, got {len(cells)}", where=Location(str(path), lines.line_num))
        yield lines.line_num, {name: cell.strip() for name, cell in zip(head, cells, strict=True)}


def _number(path: Path, line: int, row: dict[str, str], column: str, most: int) -> int:
    cell = row[column]
    if not cell.isdecimal() or int(cell) > most:
        known = f" ({OTHER} is {CLASSES[OTHER]})" if most == OTHER else ""
        raise UserError(
            f"{column}: got {cell!r}, expected a whole number from 0 to {most}{known}", where=Location(str(path), line)
        )
    return int(cell)


def _colour(path: Path, line: int, row: dict[str, str]) -> tuple[int, int, int]:
    r, g, b = (_number(path, line, row, column, 255) for column in "rgb")
    return r, g, b


def _key(name: str) -> str:
    """Return a class name for comparing: letters and digits only, lower case."""
    return "".join(letter for letter in name.lower() if letter.isalnum())
