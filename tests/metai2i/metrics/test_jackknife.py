"""The interval of the jackknife, against the closed form of a mean and of a difference of means."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from metai2i.metrics.jackknife import jackknife_interval
from metai2i.statistics import mean_interval

VALUES = np.array([1.0, 2.0, 6.0, 4.0])


def without_each(values):
    return [float(np.delete(values, n).mean()) for n in range(len(values))]


def test_of_a_mean_it_is_the_t_interval():
    expected = mean_interval(VALUES)
    assert jackknife_interval(VALUES.mean(), without_each(VALUES)) == pytest.approx((expected.low, expected.high))


def test_of_a_difference_of_means_the_variances_of_both_are_added_and_the_fewest_blocks_decide_the_t():
    left, right = VALUES, np.array([0.0, 1.0, 5.0])
    value = left.mean() - right.mean()
    sides = [[m - right.mean() for m in without_each(left)], [left.mean() - m for m in without_each(right)]]
    half = stats.t.ppf(0.975, 2) * math.sqrt(left.var(ddof=1) / 4 + right.var(ddof=1) / 3)
    assert jackknife_interval(value, *sides) == pytest.approx((value - half, value + half))


@pytest.mark.parametrize("sides", [[], [[1.0]], [[1.0, 2.0], []], [[1.0, math.nan]], [[1.0, 2.0], [math.inf, 0.0]]])
def test_there_is_none_of_fewer_than_two_blocks_or_of_what_is_no_number(sides):
    assert jackknife_interval(1.0, *sides) is None
