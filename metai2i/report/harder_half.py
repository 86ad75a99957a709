"""The harder half of the queries: those whose label map is less like any support map than that of half of all queries.

Where the support has a photograph of nearly the same layout, handing that back is hard to beat; what a row has learned
of the scene shows where there is none. The descriptor `map_iou` (the mean IoU of a query's label map with the nearest
support map) belongs to the query, so one division holds for all rows.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import median

from metai2i.run_folder.results import Record
from metai2i.statistics import (
    HalfPairRecord,
    HalfRecord,
    HalfRowRecord,
    HalvesRecord,
    Summary,
    baseline_of,
    common_task_means,
    difference_interval,
    mean_interval,
    ratio_of_means,
    task_means,
)

DESCRIPTOR = "map_iou"

Query = tuple[str, str]  # task, query
Table = Mapping[str, Mapping[str, Mapping[str, float]]]  # row -> task -> query -> value


def harder_half(records: Sequence[Record], summary: Summary) -> HalvesRecord | None:
    """Return every row's main metric on the harder and on the easier half of the queries.

    Args:
        records: all numbers, with the descriptor.
        summary: what the table says of them, with `copies`.

    Returns:
        The two halves, with each row against its baseline and the first row that copies. None where nothing was
        measured, or where all queries are alike.
    """
    likeness = _descriptor(records)
    of = next((row for row in (summary["baseline"], *summary["rows"]) if row in likeness), None)
    if of is None:
        return None
    middle = median(likeness[of].values())
    halves = {
        "harder": {query for query, value in likeness[of].items() if value < middle},
        "easier": {query for query, value in likeness[of].items() if value >= middle},
    }
    if not halves["harder"]:
        return None
    copies = summary["copies"][:1]
    values = {name: _values(records, summary["metric"], queries) for name, queries in halves.items()}
    if not any(values.values()):  # the main metric speaks of sets
        return None
    return HalvesRecord(
        median=middle,
        of=of,
        alike=all(_agree(likeness[of], values) for values in likeness.values()),
        halves={
            name: HalfRecord(
                queries=len(halves[name]),
                rows={
                    row: _entry(values[name], row, [baseline_of(summary, row), *copies])
                    for row in summary["rows"]
                    if row in values[name]
                },
            )
            for name in halves
        },
    )


def _descriptor(records: Iterable[Record]) -> dict[str, dict[Query, float]]:
    likeness: dict[str, dict[Query, float]] = {}
    for r in records:
        if r.metric == DESCRIPTOR and math.isfinite(r.value):
            likeness.setdefault(r.row, {})[r.task, r.query] = r.value
    return likeness


def _agree(left: Mapping[Query, float], other: Mapping[Query, float]) -> bool:
    return all(math.isclose(left[query], other[query], abs_tol=1e-6) for query in left.keys() & other.keys())


def _values(records: Iterable[Record], metric: str, queries: Collection[Query]) -> Table:
    values: dict[str, dict[str, dict[str, float]]] = {}
    for r in records:
        if r.metric == metric and (r.task, r.query) in queries:
            values.setdefault(r.row, {}).setdefault(r.task, {})[r.query] = r.value
    return values


def _entry(values: Table, row: str, others: Sequence[str | None]) -> HalfRowRecord:
    known = [other for other in others if other is not None and other != row and other in values]
    against = {other: _against(values, row, other) for other in known}
    return {**mean_interval(list(task_means(values[row]).values())).record(), "against": against}


def _against(values: Table, row: str, other: str) -> HalfPairRecord:
    a, b, _ = common_task_means(values[row], values[other])
    low, high = difference_interval(a, b) or (None, None)
    ratio, within = ratio_of_means(a, b)
    ratio_low, ratio_high = within or (None, None)
    difference = float((a - b).mean()) if a.size else None
    return HalfPairRecord(
        difference=difference,
        low=low,
        high=high,
        ratio=ratio,
        ratio_low=ratio_low,
        ratio_high=ratio_high,
        n=int(a.size),
    )
