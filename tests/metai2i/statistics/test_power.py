"""What a comparison could show at best, against the tests that judge it."""

import numpy as np
import pytest

from metai2i.statistics import compare, holm, signed_rank_p, smallest_p, tasks_needed


@pytest.mark.parametrize("tasks", [2, 6, 12, 30])
@pytest.mark.parametrize("comparisons", [1, 3, 9])
def test_the_smallest_p_is_that_of_differences_of_one_sign(tasks, comparisons):
    alike = signed_rank_p([0.1 * (n + 1) for n in range(tasks)])
    assert smallest_p(tasks, comparisons) == pytest.approx(min(1.0, max(holm([alike] * comparisons))))


@pytest.mark.parametrize(("comparisons", "tasks"), [(1, 6), (2, 7), (3, 7), (5, 8), (9, 9)])
def test_with_as_many_tasks_as_needed_a_difference_is_shown_and_with_fewer_it_is_not(comparisons, tasks):
    assert tasks_needed(comparisons) == tasks
    values = np.linspace(1, 2, tasks)
    pair = compare(values, values + 1, higher_is_better=False)
    assert max(holm([pair.p] * comparisons)) < 0.05
    fewer = compare(values[1:], values[1:] + 1, higher_is_better=False)
    assert max(holm([fewer.p] * comparisons)) >= 0.05 or fewer.verdict.startswith("no verdict")
