"""Similarity of label maps."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from metai2i.data.map_iou import mean_iou, nearest_iou, summed_iou


def one_hot(*maps: list[list[int]], classes: int = 3) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(maps), classes).permute(0, 3, 1, 2).float()


def test_the_score_is_the_sum_of_the_ious_of_the_classes():
    a, b = one_hot([[0, 0], [1, 1]]), one_hot([[0, 1], [1, 1]])
    assert summed_iou(a, b).item() == 1 / 2 + 2 / 3  # a class that neither has adds nothing
    assert mean_iou(a, b).item() == (1 / 2 + 2 / 3) / 2


def test_equal_maps_score_as_many_as_they_have_classes():
    maps = one_hot([[0, 0], [0, 0]], [[0, 1], [2, 2]])
    assert summed_iou(maps, maps).diagonal().tolist() == [1, 3]
    assert mean_iou(maps, maps).diagonal().tolist() == [1, 1]


@given(st.lists(st.lists(st.integers(0, 2), min_size=6, max_size=6), min_size=2, max_size=5))
def test_every_pair_is_scored_as_sets_of_pixels_are(rows):
    maps = one_hot(*[[row] for row in rows])
    scores = summed_iou(maps, maps)
    for i, first in enumerate(rows):
        for j, second in enumerate(rows):
            sets = [({p for p in range(6) if first[p] == c}, {p for p in range(6) if second[p] == c}) for c in range(3)]
            naive = sum(len(a & b) / len(a | b) for a, b in sets if a | b)
            assert abs(scores[i, j].item() - naive) < 1e-9


def test_the_nearest_map_of_a_support_is_the_one_that_counts():
    maps, support = one_hot([[0, 1], [1, 1]], [[2, 2], [2, 2]]), one_hot([[0, 0], [1, 1]], [[0, 1], [1, 1]])
    assert nearest_iou(maps, support).tolist() == [1, 0]
    assert nearest_iou(maps, support[:1]).tolist() == [(1 / 2 + 2 / 3) / 2, 0]
