"""What a comparison of rows could show at best, before anything is measured."""

from __future__ import annotations

from metai2i.statistics.intervals import LEVEL
from metai2i.statistics.significance import ENOUGH


def smallest_p(tasks: int, comparisons: int) -> float:
    """Return the smallest p that the signed-rank test can give, after Holm's correction over so many comparisons.

    All differences are of one sign then, which is one of 2^tasks patterns, on either side: p = 2 / 2^tasks.
    """
    return min(1.0, comparisons * 2.0 ** (1 - tasks))


def tasks_needed(comparisons: int) -> int:
    """Return the smallest number of tasks with which a difference can be shown in each of so many comparisons."""
    tasks = ENOUGH
    while smallest_p(tasks, comparisons) >= 1 - LEVEL:
        tasks += 1
    return tasks
