"""`results.csv`: one line per number, the source of every table."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from metai2i.errors import Location, UserError, counted
from metai2i.files import write_text

HEADER = ("row", "task", "query", "metric", "value")
SET, ALL_TASKS = "set", "*"
"""The query of a number that speaks of a set of outputs, and the task of one that speaks of all scenes together."""
LARGEST_VALUE = 1e100
"""How far from 0 a measured number may be: squares of it can still be summed."""


class Record(NamedTuple):
    """One measured number.

    Args:
        row: the row of the table it belongs to.
        task: the id of the test task, or `*` for all of them together.
        query: which query image of the task, or `set` for all of its outputs.
        metric: what was measured (lpips, ssim, ...), or a property of the query (`metrics.display.DESCRIPTORS`).
        value: the number; PSNR of identical images is infinite.
    """

    row: str
    task: str
    query: str
    metric: str
    value: float


def of_a_set(query: str) -> bool:
    """Return whether a number of this query speaks of a set of outputs; pooled seeds stand in front of it."""
    return query.rpartition(": ")[2] == SET


def is_number(value: float) -> bool:
    """Return whether a number can be in a `results.csv`: infinite, or no further from 0 than 1e100."""
    return abs(value) <= LARGEST_VALUE or math.isinf(value)


def write_results(path: Path, records: Iterable[Record]) -> None:
    """Write records as CSV with "\\n" line ends, atomically; `repr` of a float reads back as the same float."""
    lines = ((r.row, r.task, r.query, r.metric, repr(float(r.value))) for r in records)
    write_text(path, as_csv([HEADER, *lines]))


def as_csv(lines: Iterable[Sequence[object]]) -> str:
    """Return lines as CSV with "\\n" line ends; names may hold anything, and `csv` reads them back as they are."""
    text = io.StringIO()
    plain = csv.writer(text, lineterminator="\n")
    quoting = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for cells in lines:
        # A carriage return ends a line for readers, and is no reason to quote for the writer.
        (quoting if any("\r" in cell for cell in cells if isinstance(cell, str)) else plain).writerow(cells)
    return text.getvalue()


def read_results(path: Path) -> list[Record]:
    """Return the records of a `results.csv`, in the order of the file.

    Raises:
        UserError: there is no such file, or a line (named by its number) is not `row,task,query,metric,value`, holds
            something else than a number, or measures again what an earlier line has measured.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise UserError("there is no such file", where=path) from None
    except UnicodeDecodeError as error:
        what = f"this is not text in UTF-8: byte {error.start + 1} is 0x{error.object[error.start]:02X}"
        raise UserError(what, where=path) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        return _records(reader, path)
    except csv.Error as error:
        raise UserError(f"this is not CSV: {error}", where=Location(str(path), reader.line_num)) from None


def _records(reader: Any, path: Path) -> list[Record]:
    header = next(reader, None)
    if header != list(HEADER):
        got = "nothing" if header is None else repr(",".join(header))
        raise UserError(f"the header is {got}, expected {','.join(HEADER)!r}", where=Location(str(path), 1))
    records: list[Record] = []
    seen: dict[tuple[str, ...], int] = {}
    for cells in reader:
        where = Location(str(path), reader.line_num)
        record = _record(cells, where)
        first = seen.setdefault(record[:4], reader.line_num)
        if first != reader.line_num:
            what = f"{record.metric} of row {record.row!r}, task {record.task!r}, query {record.query!r}"
            raise UserError(f"{what} stands twice", where=where, hint=f"the first is in line {first}")
        records.append(record)
    return records


def _record(cells: list[str], where: Location) -> Record:
    if len(cells) != len(HEADER):
        raise UserError(f"got {counted(len(cells), 'field')}, expected {len(HEADER)}: {','.join(HEADER)}", where=where)
    *names, number = cells
    for field, name in zip(HEADER, names, strict=False):
        if not name:
            raise UserError(f"the field {field!r} is empty", where=where)
    try:
        value = float(number)
    except ValueError:
        raise UserError(f"the value is {number!r}, expected a number", where=where) from None
    if not is_number(value):
        raise UserError(
            f"the value is {number}, expected infinity or no more than {LARGEST_VALUE:g} either side of 0", where=where
        )
    row, task, query, metric = names
    return Record(row, task, query, metric, value)
