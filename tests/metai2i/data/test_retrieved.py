"""Pairs of retrieved scenes in the batches of an inner loop, and how often each scene is drawn."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys import ToyTask

from metai2i import Batch, Randomness, Reference
from metai2i.data.retrieved import RetrievedRows, weighted
from metai2i.data.sampling import Sampling


def levels(scene: int, pairs: int = 4) -> Batch:
    """Pairs of which the photograph tells scene and place."""
    photographs = torch.stack([torch.full((3, 8, 8), (10 * scene + n) / 100) for n in range(pairs)])
    return Batch(structure=torch.zeros(pairs, 3, 8, 8), target=photographs)


def drawn(rows: RetrievedRows, sampling: Sampling | None = None, step: int = 0) -> Batch:
    return rows.batch(sampling or Sampling(), Randomness((0,)).at(step))


@given(st.integers(1, 30))
def test_the_nth_best_scene_stands_one_nth_as_often_as_the_best(count):
    often = Counter(weighted(range(count), "rank"))
    assert [often[n] for n in range(count)] == [round(count / (n + 1)) for n in range(count)]


@given(st.integers(0, 30))
def test_equal_weights_leave_the_scenes_as_they_are(count):
    assert weighted(range(count), "equal") == list(range(count))


def test_pairs_come_from_all_scenes_and_others_at_each_step():
    rows = RetrievedRows((levels(1), levels(2)), 5)
    tenths = [(drawn(rows, step=n)["target"][:, 0, 0, 0] * 10).int().tolist() for n in range(20)]
    assert all(len(each) == 5 for each in tenths)
    assert {scene for each in tenths for scene in each} == {1, 2}
    assert len({tuple(each) for each in tenths}) > 10
    assert torch.equal(drawn(rows, step=3)["target"], drawn(rows, step=3)["target"])


def test_a_scene_that_stands_twice_is_drawn_twice_as_often():
    first, second = levels(1), levels(2)
    rows = RetrievedRows((first, first, second), 3000)
    of_the_first = int(((drawn(rows)["target"][:, 0, 0, 0] * 10).int() == 1).sum())
    assert of_the_first == pytest.approx(2000, abs=100)  # four standard deviations


def test_the_reference_of_a_pair_is_another_photograph_of_its_own_scene():
    rows = RetrievedRows((levels(1), levels(2)), 40)
    batch = drawn(rows, Sampling(reference=Reference(rotate=0.0, crop=1.0)))
    target, reference = (batch[name][:, 0, 0, 0] * 100 for name in ("target", "reference"))
    assert torch.equal((target / 10).int(), (reference / 10).int())
    assert not torch.isclose(target, reference).any()


class Counting(ToyTask):
    """Keeps what it was asked for."""

    asked: tuple[list[int], ...] = ()

    def load(self, indices):
        self.asked = (*self.asked, list(indices))
        return super().load(indices)


def test_each_scene_is_loaded_once_and_of_a_long_one_sixteen_pairs():
    long, short = Counting("a", 40), Counting("b", 3)
    rows = RetrievedRows.of([long, long, short], 2, "cpu")
    assert [scene.size for scene in rows.scenes] == [16, 16, 3]
    assert rows.scenes[0] is rows.scenes[1]
    assert long.asked == ([n * 40 // 16 for n in range(16)],)
    assert short.asked == ([0, 1, 2],)
