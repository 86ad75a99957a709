"""Numbers by task and query, averaged to one per task: the queries of one scene are no independent samples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from metai2i.run_folder.results import ALL_TASKS, Record

Values = Mapping[str, Mapping[str, float]]  # task -> query -> value
Floats = NDArray[np.float64]


def values_by_task(records: Iterable[Record], metric: str) -> dict[str, dict[str, dict[str, float]]]:
    """Return row -> task -> query -> value of one metric; what is said of all scenes together is of no task."""
    by_task: dict[str, dict[str, dict[str, float]]] = {}
    for r in records:
        if r.metric == metric and r.task != ALL_TASKS:
            by_task.setdefault(r.row, {}).setdefault(r.task, {})[r.query] = float(r.value)
    return by_task


def task_means(values: Values) -> dict[str, float]:
    """Return task -> mean over those queries whose value is finite; tasks without any are left out."""
    finite = {task: [v for v in queries.values() if math.isfinite(v)] for task, queries in values.items()}
    return {task: sum(numbers) / len(numbers) for task, numbers in finite.items() if numbers}


def common_task_means(row: Values, baseline: Values) -> tuple[Floats, Floats, int]:
    """Return task means of both over the queries that both have, and how many of these were left out as not finite."""
    left, right, left_out = [], [], 0
    for task in sorted(row.keys() & baseline.keys()):
        queries = sorted(row[task].keys() & baseline[task].keys())
        finite = [q for q in queries if math.isfinite(row[task][q]) and math.isfinite(baseline[task][q])]
        left_out += len(queries) - len(finite)
        if finite:
            left.append(sum(row[task][q] for q in finite) / len(finite))
            right.append(sum(baseline[task][q] for q in finite) / len(finite))
    return np.array(left), np.array(right), left_out
