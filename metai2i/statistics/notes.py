"""What a reader of a table must know besides: rows without numbers, values left out, tests too weak to show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from metai2i.metrics.display import ImageCounts, MetricInfo
from metai2i.run_folder.results import of_a_set
from metai2i.statistics.intervals import LEVEL
from metai2i.statistics.records import PairRecord
from metai2i.statistics.significance import ENOUGH
from metai2i.statistics.values import Values


def notes_on(
    table: Mapping[tuple[str, str], Values],
    rows: Sequence[str],
    measures: Mapping[str, MetricInfo],
    pairs: Mapping[str, Mapping[str, PairRecord]],
) -> list[str]:
    """Return sentences about rows, values and comparisons that are less than they look.

    Args:
        table: (row, metric) -> task -> query -> value.
        rows: in the order of the table.
        measures: how the metrics are read, in the order of the table.
        pairs: row -> metric -> the row against its baseline.
    """
    notes = []
    all_queries = queries_of(table)
    for row in rows:
        mine = queries_of({key: values for key, values in table.items() if key[0] == row})
        measured = {metric for name, metric in table if name == row}  # a row may be scored by fewer metrics than others
        expected = queries_of({key: values for key, values in table.items() if key[1] in measured}) or all_queries
        missing = sorted(task for task, queries in expected.items() if mine.get(task) != queries)
        if len(missing) == len(all_queries) and not mine:
            notes.append(f"{row} has no numbers: it has not been evaluated.")
        elif missing:
            few = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            notes.append(
                f"{row} is incomplete: {len(missing)} of {len(expected)} tasks are missing or lack queries ({few}). "
                "Its mean is over the others; comparisons are over what both rows have."
            )
    for name, measure in measures.items():
        for row in rows:
            if left_out := not_finite(table.get((row, name), {})):
                notes.append(_left_out_note(row, measure, table[row, name], left_out))
            if lacking := _lacking(table, row, name):
                queries = "1 query" if lacking == 1 else f"{lacking} queries"
                notes.append(f"{measure.title} of {row} could not be measured on {queries} where other rows have it.")
        tested = [pair[name]["n"] for pair in pairs.values() if name in pair and pair[name]["n"]]
        smallest = len(tested) * 2.0 ** (1 - max(tested, default=0))  # that Holm's correction leaves, all signs equal
        if name == next(iter(measures)) and max(tested, default=0) >= ENOUGH and smallest >= 1 - LEVEL:
            notes.append(
                f"With {max(tested)} test tasks and {len(tested)} comparisons no p can fall below 0.05 after Holm's "
                "correction: showing a difference takes more test tasks, or fewer rows."
            )
    return notes


def uneven_note(measure: MetricInfo, counts: Mapping[str, ImageCounts]) -> str:
    """Return what is to be said of rows that a metric measures on other numbers of images."""
    listed = "; ".join(f"{row}: {outputs} and {real}" for row, (outputs, real, *_) in counts.items())
    return (
        f"{measure.title} depends on how many outputs and real images it is of, and rows differ in that ({listed}): "
        "they are compared by it where these are equal alone. The same evaluate.samples and episodes make them so."
    )


def _lacking(table: Mapping[tuple[str, str], Values], row: str, name: str) -> int:
    """Return on how many queries that the row was scored on others have this metric and it has not."""
    if (row, name) not in table:
        return 0
    scored = queries_of({key: values for key, values in table.items() if key[0] == row})
    others = queries_of({key: values for key, values in table.items() if key[1] == name})
    compared = table[row, name]
    return sum(len(scored[task] & others.get(task, set()) - compared.get(task, {}).keys()) for task in scored)


def _left_out_note(row: str, measure: MetricInfo, values: Values, left_out: int) -> str:
    numbers = [v for queries in values.values() for v in queries.values()]
    infinite = sum(math.isinf(v) for v in numbers)
    why = "infinite" if infinite == left_out else "not a number" if not infinite else "infinite or not a number"
    because = ", because images are identical" if measure.name == "psnr" and math.inf in numbers else ""
    are, they = ("is", "It is") if left_out == 1 else ("are", "They are")
    what = f"{measure.title} of {row}: {left_out} of {len(numbers)} values {are} {why}{because}."
    return f"{what} {they} left out of its mean."


def queries_of(table: Mapping[tuple[str, str], Values]) -> dict[str, set[str]]:
    """Return task -> the queries of which any row has any number; a set of outputs is no query."""
    queries: dict[str, set[str]] = {}
    for values in table.values():
        for task, numbers in values.items():
            queries.setdefault(task, set()).update(query for query in numbers if not of_a_set(query))
    return queries


def not_finite(values: Values) -> int:
    """Return how many values are infinite or not a number."""
    return sum(not math.isfinite(v) for queries in values.values() for v in queries.values())
