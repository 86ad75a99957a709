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
    means = paired_task_means(row, baseline)
    queries = {task: row[task].keys() & baseline[task].keys() for task in row.keys() & baseline.keys()}
    left_out = sum(not _both_finite(row, baseline, task, q) for task, some in queries.items() for q in some)
    return np.array([left for left, _ in means.values()]), np.array([right for _, right in means.values()]), left_out


def paired_task_means(row: Values, baseline: Values) -> dict[str, tuple[float, float]]:
    """Return task -> the means of both over the queries that are finite in both; tasks without any are left out."""
    means: dict[str, tuple[float, float]] = {}
    for task in sorted(row.keys() & baseline.keys()):
        queries = sorted(row[task].keys() & baseline[task].keys())
        finite = [q for q in queries if _both_finite(row, baseline, task, q)]
        if finite:
            left, right = (sum(values[task][q] for q in finite) / len(finite) for values in (row, baseline))
            means[task] = left, right
    return means


def _both_finite(row: Values, baseline: Values, task: str, query: str) -> bool:
    return math.isfinite(row[task][query]) and math.isfinite(baseline[task][query])
