"""Pairs of retrieved scenes in the batches of an inner loop, and how often each scene is drawn."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from toys import ToyTask

from metai2i import Batch, Randomness, Reference
from metai2i.data.retrieved import RetrievedRows, drawn_scenes, scene_weights
from metai2i.data.sampling import Sampling


def levels(scene: int, pairs: int = 4) -> Batch:
    """Pairs of which the photograph tells scene and place."""
    photographs = torch.stack([torch.full((3, 8, 8), (10 * scene + n) / 100) for n in range(pairs)])
    return Batch(structure=torch.zeros(pairs, 3, 8, 8), target=photographs)


def drawn(rows: RetrievedRows, sampling: Sampling | None = None, step: int = 0) -> Batch:
    return rows.batch(sampling or Sampling(), Randomness((0,)).at(step))


def shares(scenes: int, how, draws: int = 20_000) -> list[float]:
    """How often each scene is drawn, as shares of all draws."""
    counted = Counter(drawn_scenes(scenes, draws, scene_weights(scenes, how), Randomness((1,))))
    return [counted[place] / draws for place in range(scenes)]


def test_by_rank_the_nth_scene_is_drawn_one_nth_as_often_as_the_first():
    first, *others = shares(5, "rank")
    assert first == pytest.approx(60 / 137, abs=0.02)  # 1 / (1 + 1/2 + 1/3 + 1/4 + 1/5)
    assert [share / first for share in others] == pytest.approx([1 / 2, 1 / 3, 1 / 4, 1 / 5], abs=0.03)


def test_with_equal_weights_all_scenes_are_drawn_alike():
    assert shares(4, "equal") == pytest.approx([0.25] * 4, abs=0.02)
    assert scene_weights(4, "equal") is None


def test_pairs_come_from_all_scenes_and_others_at_each_step():
    rows = RetrievedRows((levels(1), levels(2)), 5)
    tenths = [(drawn(rows, step=n)["target"][:, 0, 0, 0] * 10).int().tolist() for n in range(20)]
    assert all(len(each) == 5 for each in tenths)
    assert {scene for each in tenths for scene in each} == {1, 2}
    assert len({tuple(each) for each in tenths}) > 10
    assert torch.equal(drawn(rows, step=3)["target"], drawn(rows, step=3)["target"])


def test_rows_are_drawn_by_the_weights():
    rows = RetrievedRows((levels(1), levels(2)), 3000, (2.0, 1.0))
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
    rows = RetrievedRows.of([long, short], 2, [1.0, 0.5])
    assert [scene.size for scene in rows.scenes] == [16, 3]
    assert long.asked == ([n * 40 // 16 for n in range(16)],)
    assert short.asked == ([0, 1, 2],)
    assert rows.weights == (1.0, 0.5)
