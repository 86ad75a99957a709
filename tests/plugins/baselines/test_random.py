"""Retrieval at random."""

from __future__ import annotations

import torch
from metai2i_baselines import Random
from toys import ToyTask

from metai2i import Batch, Randomness

TASKS = [ToyTask(f"train-{n}", 4) for n in range(20)]


def retrieved(retriever: Random, support_of: str, k: int) -> list[str]:
    retriever.index(TASKS)
    support = ToyTask(support_of, 4).episode(2, 2, Randomness()).support
    return [match.task.id for match in retriever.query(support, k)]


def test_different_training_scenes_are_drawn_and_the_same_support_gets_the_same():
    first = retrieved(Random(), "a", 8)
    assert len(set(first)) == 8
    assert first == retrieved(Random(), "a", 8)
    assert first[:3] == retrieved(Random(), "a", 3)


def test_scores_fall_from_scene_to_scene_so_that_they_order_what_was_drawn():
    retriever = Random()
    retriever.index(TASKS)
    matches = retriever.query(ToyTask("a", 4).episode(2, 2, Randomness()).support, 4)
    assert [match.score for match in matches] == [0.0, -1.0, -2.0, -3.0]


def test_another_seed_draws_others():
    assert retrieved(Random(), "a", 8) != retrieved(Random(seed=1), "a", 8)


def test_more_than_there_are_gives_all():
    assert sorted(retrieved(Random(), "a", 99)) == sorted(task.id for task in TASKS)


def test_a_support_without_label_maps_decides_by_all_that_it_has():
    def of(level):
        retriever = Random()
        retriever.index(TASKS)
        support = Batch(source=torch.full((2, 3, 4, 4), level), domain=torch.tensor([0, 1]))
        return [match.task.id for match in retriever.query(support, 8)]

    assert of(0.5) == of(0.5)
    assert of(0.5) != of(0.25)
