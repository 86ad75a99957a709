"""Several rows at once: mean ranks over test tasks, and how far two of them must lie apart to be told apart.

Demsar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006: Friedman's test says whether the
rows differ at all, Nemenyi's test which of them do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import stats

from metai2i.statistics.intervals import LEVEL
from metai2i.statistics.records import RankingRecord
from metai2i.statistics.significance import ENOUGH
from metai2i.statistics.values import Floats, Values


class Ranks(NamedTuple):
    """How rows rank on the tasks that all of them have.

    Args:
        ranks: row -> mean rank, best first; 1 is the best, ties get their mean rank.
        n: number of tasks.
        statistic: Friedman's chi-squared, corrected for ties; None where all rows tie on all tasks.
        p: of Friedman's test.
        critical_difference: two mean ranks that lie farther apart differ (Nemenyi, 0.05); None under six tasks.
        alike: the largest groups of rows that cannot be told apart: all, unless Friedman's test says that they differ.
    """

    ranks: dict[str, float]
    n: int
    statistic: float | None
    p: float
    critical_difference: float | None
    alike: list[list[str]]

    def record(self, steps: int | None, names: dict[str, str]) -> RankingRecord:
        """Return it as a summary has it.

        Args:
            steps: after which the rows are ranked; None for all rows at once.
            names: row -> what it is called in the comparison.
        """
        return RankingRecord(
            steps=steps,
            names=names,
            ranks=self.ranks,
            n=self.n,
            statistic=self.statistic,
            p=self.p,
            critical_difference=self.critical_difference,
            alike=self.alike,
        )


def mean_ranks(values: Mapping[str, Values], *, higher_is_better: bool) -> Ranks | None:
    """Rank rows task by task, by the mean over those queries that are finite in all rows.

    Args:
        values: row -> task -> query -> value.
        higher_is_better: the better side.

    Returns:
        None for fewer than three rows, which a paired test compares, or where the rows have no task in common.
    """
    table = shared_means(values)
    n, k = table.shape
    if k < 3 or n == 0:
        return None
    ranked = stats.rankdata(-table if higher_is_better else table, axis=1)
    ranks = dict(sorted(zip(values, ranked.mean(axis=0).tolist(), strict=True), key=lambda pair: pair[1]))
    statistic, p = friedman(table)
    critical = critical_difference(k, n) if n >= ENOUGH else None
    differ = critical is not None and p < 1 - LEVEL
    return Ranks(ranks, n, statistic, p, critical, within(ranks, critical) if critical and differ else [list(ranks)])


def shared_means(values: Mapping[str, Values]) -> Floats:
    """Return means (tasks, rows) over the queries that are finite in all rows; tasks without any are left out."""
    rows = list(values.values())
    shared = sorted(set.intersection(*(set(row) for row in rows))) if rows else []
    table = []
    for task in shared:
        queries = set.intersection(*({q for q, value in row[task].items() if math.isfinite(value)} for row in rows))
        if queries:
            table.append([math.fsum(row[task][q] for q in queries) / len(queries) for row in rows])
    return np.array(table, dtype=np.float64).reshape(len(table), len(rows))


def friedman(table: Floats) -> tuple[float | None, float]:
    """Return Friedman's chi-squared and its p, of values (tasks, rows); (None, 1) where all rows tie on all tasks."""
    if np.ptp(table, axis=1).max(initial=0) == 0:
        return None, 1.0
    statistic, p = stats.friedmanchisquare(*table.T)
    return float(statistic), float(p)


@cache
def critical_difference(rows: int, tasks: int) -> float:
    """Return by how much two mean ranks must differ by Nemenyi's test at 0.05."""
    studentized = float(stats.studentized_range.ppf(LEVEL, rows, np.inf))
    return studentized / math.sqrt(2) * math.sqrt(rows * (rows + 1) / (6 * tasks))


def within(ranks: Mapping[str, float], critical: float) -> list[list[str]]:
    """Return the largest groups of rows, best first, whose ranks lie within a critical difference; of two
    rows or more.
    """
    names: Sequence[str] = sorted(ranks, key=lambda name: ranks[name])
    groups: list[list[str]] = []
    for first, name in enumerate(names):
        group = [other for other in names[first:] if ranks[other] - ranks[name] <= critical]
        if len(group) > 1 and not (groups and set(group) <= set(groups[-1])):
            groups.append(group)
    return groups
