"""Whether a `results.csv` has all that its run has measured, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from metai2i.errors import UserError
from metai2i.run_folder.files import few
from metai2i.run_folder.record import MeasuredRow, Provenance
from metai2i.run_folder.results import Record

HINT = "take the file anew from where the run was made, or run its recipe again, which trains nothing that is kept"


def check_whole(path: Path, records: Sequence[Record], provenance: Provenance, recipe: Mapping[str, object]) -> None:
    """Refuse numbers that are not all that a run has measured, or more than that.

    A run says in its provenance how many tasks, queries and numbers it has of each row. Of older runs only the number
    of test tasks is known there; their rows, metrics and queries are held against the recipe and against each other.

    Args:
        path: the file.
        records: what it holds.
        provenance: of the run; empty where it is not known, and then nothing is refused.
        recipe: of the run; empty where it is not known.

    Raises:
        UserError: saying what is missing or too much, and how many.
    """
    tasks, measured = provenance.data.test_tasks, provenance.measured
    if not measured and not tasks:
        return
    wrong = _against(measured, records) if measured else _older(records, tasks or 0, recipe)
    if wrong:
        raise UserError(f"these are not the numbers of the run: {few(wrong, '; ')}", where=path, hint=HINT)


def _against(measured: Mapping[str, MeasuredRow], records: Sequence[Record]) -> list[str]:
    """Return how the numbers differ from those that the run has counted: of each row tasks, or else queries, or
    numbers.
    """
    wrong = _rows(list(measured), records)
    for row, counted in measured.items():
        here = [record for record in records if record.row == row]
        queries, counts = {(record.task, record.query) for record in here}, Counter(record.metric for record in here)
        differing = _differing(f"row {row!r}", "test tasks", len({task for task, _ in queries}), counted.tasks)
        differing = differing or _differing(f"row {row!r}", "queries", len(queries), counted.queries)
        for metric in [] if differing else dict.fromkeys([*counted.numbers, *counts]):
            wrong += _differing(f"row {row!r}", f"numbers of {metric}", counts[metric], counted.numbers.get(metric, 0))
        wrong += differing if here else []
    return wrong


def _older(records: Sequence[Record], tasks: int, recipe: Mapping[str, object]) -> list[str]:
    """Return how the numbers differ from what a recipe asks for, and the rows from each other."""
    rows = recipe.get("rows")
    sections = rows if isinstance(rows, Mapping) else {}
    names = [str(row) for row in sections] or list(dict.fromkeys(record.row for record in records))
    wrong = _rows(names, records)
    most = Counter(task for task, _ in {(record.task, record.query) for record in records})
    for row in names:
        here = [record for record in records if record.row == row]
        if not here:
            continue
        differing = _differing(f"row {row!r}", "test tasks", len({record.task for record in here}), tasks)
        asked = _asked(sections.get(row))
        queries = Counter(task for task, _ in {(record.task, record.query) for record in here})
        for task, count in queries.items():
            differing += _differing(f"task {task!r} of row {row!r}", "queries", count, asked or most[task])
        wrong += differing
    return wrong + _cut(records)


def _rows(expected: Sequence[str], records: Sequence[Record]) -> list[str]:
    """Return rows without any number, and numbers of rows that are not the run's."""
    here = dict.fromkeys(record.row for record in records)
    missing = [f"no number of row {row!r}" for row in expected if row not in here]
    return missing + [f"a row {row!r}, which the run does not have" for row in here if row not in expected]


def _differing(whose: str, what: str, got: int, expected: int) -> list[str]:
    if got == expected:
        return []
    return [
        f"{whose} has {got} of {expected} {what}" if got < expected else f"{whose} has {got} {what}, not {expected}"
    ]


def _asked(section: object) -> int | None:
    """Return how many queries a row's recipe asks for of each task."""
    evaluate, episodes = _section(section, "evaluate"), _section(section, "episodes")
    queries, draws = evaluate.get("queries") or episodes.get("queries"), episodes.get("draws") or 1
    return queries * draws if isinstance(queries, int) and isinstance(draws, int) else None


def _section(row: object, name: str) -> Mapping[str, object]:
    section = row.get(name) if isinstance(row, Mapping) else None
    return section if isinstance(section, Mapping) else {}


def _cut(records: Sequence[Record]) -> list[str]:
    """Return metrics that the very last query lacks and all others of its row have, as in a file that ends
    too early.
    """
    here = [record for record in records if record.row == records[-1].row]
    if not here:
        return []
    *others, last = dict.fromkeys((record.task, record.query) for record in here)
    metrics: dict[tuple[str, str], set[str]] = {}
    for record in here:
        metrics.setdefault((record.task, record.query), set()).add(record.metric)
    if not others:
        return []
    lacking = sorted(set.intersection(*(metrics[query] for query in others)) - metrics[last])
    return [f"query {last[1]} of task {last[0]!r} of row {here[0].row!r} lacks {', '.join(lacking)}"] if lacking else []
