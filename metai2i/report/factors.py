"""Rows that fill a grid: what they differ in is read off the recipe, whether it has a `grid` or not.

A factor is what some rows differ in while all else is the same: a number (adaptation steps, shots), a choice, or a
whole section (strategy). Rows that differ in one factor alone make a line, and several such lines make a table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from metai2i.report.adaptation_curves import curve_label
from metai2i.report.wording import shortened
from metai2i.run_folder.reader import Run, mapping
from metai2i.statistics import FactorRecord, Summary

KeyPath = tuple[str, ...]
_MOST = 3
"""How many tables are shown; one grid of three factors makes that many."""
_ABSENT = "(absent)"
_ASIDE = {("baseline",), ("continued", "match"), ("tune", "match"), ("evaluate", "images"), ("metatrain", "probe")}
"""What rows may differ in without being other rows: the names of others, and what is kept of their images."""
_FIRST = (
    ("adapt", "iterations"),
    ("episodes", "shots"),
    ("evaluate", "shots"),
    ("strategy", "use"),
    ("strategy", "steps"),
    ("translator", "use"),
    ("tasks", "train"),
    ("seed",),
)
"""The paths that give a factor its name where several change together."""


class Factor(NamedTuple):
    """Paths whose values change together over all rows; `name` is the path, or the section, that they are called by."""

    name: KeyPath
    paths: frozenset[KeyPath]


class GridTable(NamedTuple):
    """Lines of rows that differ in one factor alone; `lines`: rows by the place of their level in `levels`."""

    factor: Factor
    levels: list[str]
    lines: list[dict[int, str]]


def tell_factors(summary: Summary, rows: Mapping[str, Sequence[tuple[Run, str]]]) -> None:
    """Put into a summary which of its rows fill grids (`factors`), the fullest first.

    Args:
        summary: of one or several runs.
        rows: the rows of the summary, each with the runs that it is of and what it is called there.
    """
    metric = summary["metric"]
    measured = {row: of[0] for row, of in rows.items() if metric in summary["rows"].get(row, {})}
    written = {
        row: dict(leaves(run.section(name))) | {("seed",): run.recipe.get("seed")}
        for row, (run, name) in measured.items()
        if run.section(name)
    }
    summary["factors"] = [_record(table, written) for table in factor_tables(written)]


def leaves(section: Mapping[str, object], above: KeyPath = ()) -> Iterable[tuple[KeyPath, object]]:
    """Yield what a row says, each value with its path; a list is one value."""
    for key, value in section.items():
        path = (*above, str(key))
        named = path[0] == "start" and path[-1] == "row"  # another row of the recipe
        if path in _ASIDE or named:
            continue
        if isinstance(value, Mapping):
            yield from leaves(value, path)
        else:
            yield path, value


def factor_tables(rows: Mapping[str, Mapping[KeyPath, object]]) -> list[GridTable]:
    """Return the tables that rows fill: at least two lines of at least two rows, each line over all but one factor.

    Args:
        rows: row -> what it says, by path.

    Returns:
        at most three, those with most rows first, then those with numbers above; none says the same as another with
        lines and levels changed about.
    """
    values = _differing(rows)
    tables = [table for factor in _factors(values) if (table := _table(factor, values, rows)) is not None]
    tables.sort(key=lambda table: (-_filled(table), not _numeric(table.levels), -len(table.levels)))
    kept: list[GridTable] = []
    for table in tables:
        if not any(_turned(table, other) or _same(table, other) for other in kept):
            kept.append(table)
    return kept[:_MOST]


def _differing(rows: Mapping[str, Mapping[KeyPath, object]]) -> dict[KeyPath, dict[str, str]]:
    """KeyPath -> row -> its value as text, for the paths at which rows differ."""
    paths = dict.fromkeys(path for said in rows.values() for path in said)
    values = {path: {row: _spelled(said.get(path, _ABSENT)) for row, said in rows.items()} for path in paths}
    return {path: by_row for path, by_row in values.items() if len(set(by_row.values())) > 1}


def _factors(values: Mapping[KeyPath, Mapping[str, str]]) -> list[Factor]:
    """Return what may be a factor: paths that change together, and all of a section that several of these are in."""
    together: dict[tuple[int, ...], list[KeyPath]] = {}
    for path, by_row in values.items():
        seen = {value: place for place, value in enumerate(dict.fromkeys(by_row.values()))}
        together.setdefault(tuple(seen[value] for value in by_row.values()), []).append(path)
    alone = [Factor(min(paths, key=_preference), frozenset(paths)) for paths in together.values()]
    sections: dict[str, list[Factor]] = {}
    for factor in alone:
        sections.setdefault(factor.name[0], []).append(factor)
    whole = [
        Factor((section,), frozenset().union(*(factor.paths for factor in inside)))
        for section, inside in sections.items()
        if len(inside) > 1
    ]
    return [*alone, *whole]


def _table(
    factor: Factor, values: Mapping[KeyPath, Mapping[str, str]], rows: Mapping[str, Mapping[KeyPath, object]]
) -> GridTable | None:
    others = [by_row for path, by_row in values.items() if path not in factor.paths]
    lines: dict[tuple[str, ...], dict[tuple[str, ...], str]] = {}
    for row in rows:
        level = tuple(values[path][row] for path in sorted(factor.paths))
        lines.setdefault(tuple(by_row[row] for by_row in others), {}).setdefault(level, row)
    several = [line for line in lines.values() if len(line) > 1]
    if len(several) < 2:
        return None
    levels = {level: row for line in several for level, row in line.items()}
    titles = _titles(factor, {level: rows[row] for level, row in levels.items()})
    order = sorted(levels, key=lambda level: float(titles[level])) if _numeric(titles.values()) else list(levels)
    places = {level: place for place, level in enumerate(order)}
    ordered = [{places[level]: line[level] for level in order if level in line} for line in several]
    return GridTable(factor, [titles[level] for level in order], ordered)


def _titles(factor: Factor, levels: Mapping[tuple[str, ...], Mapping[KeyPath, object]]) -> dict[tuple[str, ...], str]:
    """Return what the levels of a factor are called: the value at its path, or what its section uses."""
    names = {level: _title(factor, said) for level, said in levels.items()}
    alike: dict[str, list[tuple[str, ...]]] = {}
    for level, name in names.items():
        alike.setdefault(name, []).append(level)
    for name, several in alike.items():
        if len(several) > 1:
            for level, inside in _inside(factor, {level: levels[level] for level in several}).items():
                names[level] = ", ".join([name, *inside])
    return names


def _inside(
    factor: Factor, levels: Mapping[tuple[str, ...], Mapping[KeyPath, object]]
) -> dict[tuple[str, ...], list[str]]:
    """Return the options of a factor's section in which levels of one name differ, with what each has."""
    paths = sorted(path for path in factor.paths if path[0] == factor.name[0] and path[-1] != "use")
    differing = [path for path in paths if len({_spelled(said.get(path, _ABSENT)) for said in levels.values()}) > 1]
    return {
        level: [f"{path[-1]} {_text(said[path])}" for path in differing if path in said]
        for level, said in levels.items()
    }


def _title(factor: Factor, said: Mapping[KeyPath, object]) -> str:
    for path in (factor.name, (*factor.name, "use")):
        if path in said:
            return _text(said[path])
    options = [path for path in sorted(said) if path[: len(factor.name)] == factor.name]  # a section that uses nothing
    return ", ".join(f"{path[-1]} {_text(said[path])}" for path in options) or "none"


def _record(table: GridTable, rows: Mapping[str, Mapping[KeyPath, object]]) -> FactorRecord:
    by, titles = _line_titles(table, rows)
    return FactorRecord(
        factor=".".join(table.factor.name),
        levels=table.levels,
        by=by,
        lines=[
            {"label": title, "rows": {table.levels[place]: row for place, row in line.items()}}
            for title, line in zip(titles, table.lines, strict=True)
        ],
    )


def _line_titles(table: GridTable, rows: Mapping[str, Mapping[KeyPath, object]]) -> tuple[str, list[str]]:
    """Return what lines differ in, if that is one factor, and what they are called: by what the names of their rows
    have in common, or by the levels of that factor where names are but paths and values, or do not tell lines apart.
    """
    labels = [curve_label(list(line.values())) for line in table.lines]
    firsts = [next(iter(line.values())) for line in table.lines]
    besides = {
        row: {path: value for path, value in rows[row].items() if path not in table.factor.paths} for row in firsts
    }
    values = _differing(besides)
    factor = next((factor for factor in _factors(values) if factor.paths == set(values)), None)
    by = ".".join(factor.name) if factor else ""
    if len(set(labels)) == len(labels) and all(map(_says_much, labels, table.lines)):
        return by, labels
    if factor is None:
        return by, firsts
    level = {row: tuple(values[path][row] for path in sorted(factor.paths)) for row in firsts}
    titles = _titles(factor, {level[row]: rows[row] for row in firsts})
    return by, [titles[level[row]] for row in firsts]


def _says_much(label: str, line: Mapping[int, str]) -> bool:
    """Return whether a line's rows have that in common, and are not called by paths and values alone."""
    words = re.compile(rf"(?<!\w){re.escape(label)}(?!\w)")
    return all(words.search(row) and "=" not in row for row in line.values())


def _preference(path: KeyPath) -> tuple[int, KeyPath]:
    return (_FIRST.index(path) if path in _FIRST else len(_FIRST), path)


def _turned(table: GridTable, other: GridTable) -> bool:
    """Return whether the lines of one are the columns of the other."""
    return _groups_by_line(table) == _groups_by_level(other) and _groups_by_level(table) == _groups_by_line(other)


def _same(table: GridTable, other: GridTable) -> bool:
    return _groups_by_line(table) == _groups_by_line(other)


def _groups_by_line(table: GridTable) -> set[frozenset[str]]:
    return {frozenset(line.values()) for line in table.lines}


def _groups_by_level(table: GridTable) -> set[frozenset[str]]:
    return {frozenset(line[place] for line in table.lines if place in line) for place in range(len(table.levels))}


def _filled(table: GridTable) -> int:
    return sum(map(len, table.lines))


def _numeric(levels: Iterable[str]) -> bool:
    try:
        return all(float(level) == float(level) for level in levels)
    except ValueError:
        return False


def _spelled(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _text(value: object) -> str:
    """Return a value as a heading has it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:g}" if abs(value) < 1e6 else str(value)
    if isinstance(value, list):
        return shortened(", ".join(map(_text, value)), 40) if value else "none"
    return value if isinstance(value, str) else _spelled(mapping(value).get("use", value))
