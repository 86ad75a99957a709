"""Means, differences and ratios with their intervals, against closed forms and independent implementations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from metai2i.statistics import (
    bootstrap_mean,
    compare,
    difference_interval,
    mean_interval,
    ratio_of_means,
)

positive = st.floats(0.05, 1.0).map(lambda v: round(v, 3))
two_rows = st.lists(st.tuples(positive, positive), min_size=2, max_size=9).map(lambda p: np.array(p).T)


def rng(seed=0):
    return np.random.default_rng(seed)


# Means


def test_the_t_interval_of_one_to_five_is_the_one_of_the_tables():
    # t(0.975, 4) = 2.776; sd = sqrt(2.5)
    got = mean_interval([1, 2, 3, 4, 5])
    half = 2.776445 * math.sqrt(2.5 / 5)
    assert got == pytest.approx((3, 3 - half, 3 + half, 5, math.sqrt(2.5)), rel=1e-6)


def test_the_t_interval_is_scipys():
    values = rng().normal(size=11)
    low, high = stats.t.interval(0.95, 10, loc=values.mean(), scale=stats.sem(values))
    assert mean_interval(values)[1:3] == pytest.approx((low, high))


def test_one_task_has_a_mean_but_no_interval():
    assert mean_interval([0.25]) == (0.25, None, None, 1, None)
    assert mean_interval([]) == (None, None, None, 0, None)


# Bootstrap


def bca_by_the_book(values, seed):
    """BCa of the mean: Efron and Tibshirani, An Introduction to the Bootstrap (1993), equations 14.9 to 14.15."""
    n = len(values)
    replicates = values[rng(seed).integers(0, n, size=(20000, n))].mean(axis=1)
    z0 = stats.norm.ppf(np.mean(replicates < values.mean()))
    left_out = np.array([np.delete(values, i).mean() for i in range(n)])
    centred = left_out.mean() - left_out
    a = (centred**3).sum() / (6 * (centred**2).sum() ** 1.5)
    ends = [z0 + (z0 + z) / (1 - a * (z0 + z)) for z in stats.norm.ppf([0.025, 0.975])]
    return np.quantile(replicates, stats.norm.cdf(ends))


def test_the_interval_of_the_difference_is_bca():
    differences = rng(5).exponential(size=15) - 0.4  # skewed, so that BCa differs from plain percentiles
    got = difference_interval(differences + 1, np.ones(15))
    assert got == pytest.approx(bca_by_the_book(differences, 1), abs=0.02)


def test_equal_differences_have_an_interval_of_no_width():
    got = compare(np.arange(6) + 0.5, np.arange(6) + 1.0, higher_is_better=False)
    assert (got.difference, got.low, got.high) == (-0.5, -0.5, -0.5)
    assert got.verdict == "better"


@settings(deadline=None, max_examples=25)
@given(two_rows)
def test_exchanging_the_rows_flips_the_difference_and_inverts_the_ratio(rows):
    there, back = (compare(a, b, higher_is_better=False) for a, b in (rows, rows[::-1]))
    assert back.difference == pytest.approx(-there.difference, abs=1e-12)
    assert back.ratio == pytest.approx(1 / there.ratio)
    assert back.wins == there.n - there.wins
    assert back.p == there.p


@pytest.mark.parametrize("seed", range(5))
def test_exchanging_the_rows_flips_and_inverts_the_intervals(seed):
    rows = rng(seed).uniform(0.2, 0.6, size=(2, 12))
    there, back = (compare(a, b, higher_is_better=False) for a, b in (rows, rows[::-1]))
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=2e-3)
    assert (back.ratio_low, back.ratio_high) == pytest.approx((1 / there.ratio_high, 1 / there.ratio_low), rel=5e-3)


@settings(deadline=None, max_examples=25)
@given(two_rows)
def test_intervals_hold_their_estimates(rows):
    got = compare(*rows, higher_is_better=False)
    if got.low is not None:
        assert got.low - 1e-12 <= got.difference <= got.high + 1e-12
    if got.ratio_low is not None:
        assert got.ratio_low - 1e-12 <= got.ratio <= got.ratio_high + 1e-12


def test_a_row_that_is_a_fixed_share_of_the_baseline_has_that_ratio_exactly():
    base = rng(2).uniform(0.1, 1, size=8)
    ratio, interval = ratio_of_means(0.9 * base, base)
    assert (ratio, *interval) == pytest.approx((0.9, 0.9, 0.9))


def test_there_is_no_ratio_to_nothing_and_no_interval_around_signs():
    assert ratio_of_means(np.ones(3), np.zeros(3)) == (None, None)
    assert ratio_of_means(np.array([1.0, 2.0]), np.array([-1.0, -2.0])) == (None, None)
    assert ratio_of_means(np.array([1.0, 2.0]), np.array([-1.0, 2.0])) == (3.0, None)


def test_the_same_numbers_give_the_same_intervals_again():
    a, b = rng(7).uniform(size=(2, 9))
    assert compare(a, b, higher_is_better=True) == compare(a, b, higher_is_better=True)


def test_the_bootstrap_interval_of_a_mean_is_that_of_its_difference_to_nothing():
    values = rng(3).lognormal(size=14)
    interval = bootstrap_mean(values)
    assert (interval.low, interval.high) == difference_interval(values, np.zeros(14))
    assert (interval.mean, interval.sd, interval.n) == (
        pytest.approx(values.mean()),
        pytest.approx(values.std(ddof=1)),
        14,
    )
    assert interval.high - interval.mean > interval.mean - interval.low  # the tail is on the right
    assert bootstrap_mean([2.0]) == (2.0, None, None, 1, None)
