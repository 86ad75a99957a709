"""A row against its baseline: the paired test, its correction for many rows, and what may be said of the outcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from metai2i.statistics.intervals import LEVEL, difference_interval, ratio_of_means
from metai2i.statistics.records import PairRecord
from metai2i.statistics.values import Floats

ENOUGH = 6  # tasks; with fewer the smallest two-sided p of the signed-rank test is above 0.05
OTHER_COUNTS = "no verdict (other numbers of images)"
"""Of rows that a metric of sets cannot compare."""
EXACT_UP_TO = 50  # differences; beyond, the normal approximation of the signed-rank test is as good


def signed_rank_p(differences: Sequence[float] | Floats) -> float | None:
    """Return two-sided p of Wilcoxon's signed-rank test; zero differences are dropped, ties get their mean rank.

    Up to 50 differences the distribution of the statistic is enumerated, with its ties; beyond that the normal
    approximation is used. Differences that are all zero give 1, no differences None.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.size == 0:
        return None
    values = without_noise(values, float(np.abs(values).max()))
    values = values[values != 0]
    if values.size == 0:
        return 1.0
    if values.size > EXACT_UP_TO:
        asymptotic: float = stats.wilcoxon(values, method="asymptotic").pvalue
        return float(asymptotic)
    doubled = np.rint(2 * stats.rankdata(np.abs(values))).astype(np.int64)  # mean ranks are multiples of a half
    ways = np.zeros(int(doubled.sum()) + 1)  # ways[s]: sign patterns whose positive ranks sum to s / 2
    ways[0] = 1
    for rank in doubled:
        ways[rank:] += ways[:-rank].copy()
    positive = int(doubled[values > 0].sum())
    smaller = min(positive, int(doubled.sum()) - positive)
    one_sided: float = float(ways[: smaller + 1].sum()) / 2.0**values.size
    return min(1.0, 2 * one_sided)


def without_noise(differences: Floats, scale: float) -> Floats:
    """Return differences rounded to twelve digits of the numbers that they are of: 0.8 - 0.6 is 0.4 - 0.2, and a tie
    stays one.

    Args:
        differences: of numbers.
        scale: the largest size of these.
    """
    unit = scale * 1e-12
    rounded: Floats = np.rint(differences / unit) * unit if unit > 0 else differences
    return rounded


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Apply Holm's step-down correction (Scandinavian Journal of Statistics 6, 1979); None stays None and does not
    count.
    """
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    running = 0.0
    for done, (p, place) in enumerate(order):
        running = max(running, min(1.0, (len(order) - done) * p))
        corrected[place] = running
    return corrected


class RowComparison(NamedTuple):
    """One row against its baseline, over the tasks that both have.

    Args:
        difference: mean over tasks of (row - baseline), with its interval `low`, `high`.
        ratio: mean of the row over mean of the baseline, with its interval `ratio_low`, `ratio_high`.
        p: two-sided, Wilcoxon's signed-rank test; `p_holm` after Holm's correction over the rows of one metric.
        wins: number of tasks on which the row is better; a tie counts a half.
        n: number of tasks.
        verdict: "better", "worse", "no difference shown", or "no verdict (why)".
    """

    difference: float | None
    low: float | None
    high: float | None
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    p: float | None
    p_holm: float | None
    wins: float | None
    n: int
    verdict: str

    def record(self) -> PairRecord:
        """Return it as a summary has it."""
        return PairRecord(
            difference=self.difference,
            low=self.low,
            high=self.high,
            ratio=self.ratio,
            ratio_low=self.ratio_low,
            ratio_high=self.ratio_high,
            p=self.p,
            p_holm=self.p_holm,
            wins=self.wins,
            n=self.n,
            verdict=self.verdict,
            win_rate=self.wins / self.n if self.wins is not None and self.n else None,
        )


def compare(row: Floats, baseline: Floats, higher_is_better: bool | None) -> RowComparison:
    """Return a row against its baseline: one finite number per task each, the same tasks in the same order.

    `p_holm` is `p`, as for a single comparison, and the verdict follows from it.
    """
    scale = float(np.abs([row, baseline]).max()) if row.size else 0.0
    differences = row - baseline
    tied = without_noise(differences, scale)
    low, high = difference_interval(row, baseline) or (None, None)
    ratio, ratio_interval = ratio_of_means(row, baseline)
    wins = None
    if higher_is_better is not None:
        better = tied > 0 if higher_is_better else tied < 0
        wins = float(better.sum() + 0.5 * (tied == 0).sum())
    p = signed_rank_p(tied)
    pair = RowComparison(
        difference=float(differences.mean()) if differences.size else None,
        low=low,
        high=high,
        ratio=ratio,
        ratio_low=ratio_interval[0] if ratio_interval else None,
        ratio_high=ratio_interval[1] if ratio_interval else None,
        p=p,
        p_holm=p,
        wins=wins,
        n=int(differences.size),
        verdict="",
    )
    return pair._replace(verdict=verdict(pair, higher_is_better))


def verdict(pair: RowComparison, higher_is_better: bool | None) -> str:
    """Return what the numbers allow to say.

    A difference is shown where the corrected p is below 0.05 and the interval of the mean difference lies on one side
    of zero: the test is about ranks, the table about means, and a claim needs both.
    """
    if pair.n < ENOUGH:
        return f"no verdict (n < {ENOUGH})"
    if pair.p_holm is None or pair.low is None or pair.high is None:
        return "no verdict (no interval)"
    if pair.p_holm >= 1 - LEVEL or pair.low <= 0 <= pair.high:
        return "no difference shown"
    higher = pair.low > 0
    if higher_is_better is None:
        return "higher" if higher else "lower"
    return "better" if higher == higher_is_better else "worse"
