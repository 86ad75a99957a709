"""The paired test and its correction, against enumeration and independent implementations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from metai2i.statistics import (
    compare,
    holm,
    signed_rank_p,
)


def rng(seed=0):
    return np.random.default_rng(seed)


# Signed-rank test


def enumerated(differences):
    """The definition: all sign patterns of the ranks, two-sided."""
    values = np.array([d for d in differences if d != 0])
    ranks = stats.rankdata(np.abs(values))
    observed = min(ranks[values > 0].sum(), ranks[values < 0].sum())
    sums = [
        sum(r for r, s in zip(ranks, signs, strict=True) if s) for signs in itertools.product((0, 1), repeat=len(ranks))
    ]
    return min(1.0, 2 * np.mean([s <= observed for s in sums]))


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_p_is_that_of_enumeration_also_with_ties_and_zeros(differences):
    expected = enumerated(differences) if any(differences) else 1.0
    assert signed_rank_p(differences) == pytest.approx(expected)


@pytest.mark.parametrize("n", [6, 12, 30, 50])
def test_p_is_scipys_exact_one_without_ties(n):
    differences = rng(n).normal(0.2, 1, size=n)
    assert signed_rank_p(differences) == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue)


def test_six_wins_of_six_have_p_one_in_thirty_two():
    assert signed_rank_p([1, 2, 3, 4, 5, 6]) == 0.03125
    assert signed_rank_p([1, 2, 3, 4, 5]) == 0.0625


def test_many_differences_have_the_normal_approximation():
    differences = rng(3).normal(0.15, 1, size=80)
    assert signed_rank_p(differences) == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue, rel=0.05)


# Holm


def test_holm_as_computed_by_hand():
    # sorted: 0.005 x 4, 0.01 x 3, 0.03 x 2, 0.04 x 1 -> 0.06 (never below the one before)
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_out_what_has_no_p_and_stops_at_one():
    assert holm([0.04, None, 0.6]) == [0.08, None, 0.6]
    assert holm([0.7, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_keeps_the_order_and_never_lowers_a_p(p_values):
    corrected = holm(p_values)
    assert all(p <= c <= min(1, len(p_values) * p) + 1e-12 for p, c in zip(p_values, corrected, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert all(corrected[a] <= corrected[b] for a, b in itertools.pairwise(order))


def test_what_differs_by_the_rounding_of_floats_is_a_tie():
    """Shares of five: 0.8 - 0.6 and 0.4 - 0.6 are of one size, whatever their last bits."""
    row = np.array([0.8, 0.6, 0.4, 1, 0.2, 0.8, 1, 0.8])
    baseline = np.array([0.6, 0, 0.6, 1, 0, 0.4, 0.2, 0.6])
    fifths = np.rint(5 * row).astype(int) - np.rint(5 * baseline).astype(int)
    assert compare(row, baseline, True).p == signed_rank_p(fifths) == signed_rank_p(row - baseline)
    assert compare(row, baseline, True).p == pytest.approx(0.078, abs=5e-4)
    assert compare(np.array([0.1 + 0.2] * 8), np.array([0.3] * 8), True).wins == 4


@given(st.lists(st.integers(-10, 10), min_size=1, max_size=30))
def test_the_unit_of_the_numbers_does_not_matter(numbers):
    assert signed_rank_p(numbers) == signed_rank_p([number / 7 for number in numbers])
