"""How far a mean, a difference or a ratio of means may be off: t and bootstrap intervals over test tasks."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from metai2i.statistics.records import EstimateRecord
from metai2i.statistics.values import Floats

LEVEL = 0.95
RESAMPLES = 9999
SEED = 20240229


class Estimate(NamedTuple):
    """A mean over tasks with its 95 % t interval; None where there are too few tasks to say."""

    mean: float | None
    low: float | None
    high: float | None
    n: int
    sd: float | None

    def record(self) -> EstimateRecord:
        """Return it as a summary has it."""
        return EstimateRecord(mean=self.mean, low=self.low, high=self.high, n=self.n, sd=self.sd)


def mean_interval(values: Sequence[float] | Floats) -> Estimate:
    """Return mean, 95 % t interval, number and standard deviation (n - 1 below the line) of one finite
    number per task.
    """
    n = len(values)
    if n == 0:
        return Estimate(None, None, None, 0, None)
    mean = float(np.mean(values))
    if n == 1:
        return Estimate(mean, None, None, 1, None)
    sd = float(np.std(values, ddof=1))
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * sd / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n, sd)


def bootstrap_mean(values: Sequence[float] | Floats) -> Estimate:
    """Return mean of one finite number per task with its 95 % BCa bootstrap interval, which need not be symmetric."""
    plain = mean_interval(values)
    low, high = difference_interval(np.asarray(values, dtype=np.float64), np.zeros(len(values))) or (None, None)
    return plain._replace(low=low, high=high)


def difference_interval(row: Floats, baseline: Floats) -> tuple[float, float] | None:
    """Return BCa bootstrap interval (95 %) of the mean paired difference; None under two tasks."""
    differences = row - baseline
    if differences.size < 2:
        return None
    if np.ptp(differences) == 0:
        return float(differences[0]), float(differences[0])
    return _bca((differences,), lambda d, axis: d.mean(axis=axis))


def ratio_of_means(row: Floats, baseline: Floats) -> tuple[float | None, tuple[float, float] | None]:
    """Return mean of the row over mean of the baseline, with its BCa bootstrap interval (95 %) over tasks.

    The logarithm is bootstrapped, so that exchanging the two rows inverts the interval. There is no ratio unless both
    means are positive, and no interval unless every task's value is.
    """
    if row.size == 0 or row.mean() <= 0 or baseline.mean() <= 0:
        return None, None
    ratio = float(row.mean() / baseline.mean())
    if row.size < 2 or row.min() <= 0 or baseline.min() <= 0:
        return ratio, None
    if np.ptp(row / baseline) <= 1e-12 * ratio:
        return ratio, (ratio, ratio)
    interval = _bca((row, baseline), lambda a, b, axis: np.log(a.mean(axis=axis) / b.mean(axis=axis)))
    return ratio, interval and (math.exp(interval[0]), math.exp(interval[1]))


def _bca(data: tuple[Floats, ...], statistic: Any) -> tuple[float, float] | None:
    # scipy has renamed the argument; the same seed everywhere means the same resampled tasks for every row.
    name = "rng" if "rng" in inspect.signature(stats.bootstrap).parameters else "random_state"
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        interval = stats.bootstrap(
            data,
            statistic,
            n_resamples=RESAMPLES,
            batch=max(1, 2_000_000 // data[0].size),
            vectorized=True,
            paired=True,
            axis=-1,
            confidence_level=LEVEL,
            method="BCa",
            **{name: np.random.default_rng(SEED)},
        ).confidence_interval
    low, high = float(interval.low), float(interval.high)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None
