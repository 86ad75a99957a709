"""How batches of plain training are drawn from scenes, and those of an inner loop from a support."""

from __future__ import annotations

import pytest
import torch
from toys import ToyTask

from metai2i import Augment, Batch, Randomness, UserError
from metai2i.data.reference import Reference
from metai2i.data.sampling import Sampling

SUPPORT = ToyTask("a", 4).load(range(4))


def test_a_support_that_is_taken_whole_comes_in_its_own_tensors():
    for i in range(2):
        drawn = Sampling().support(SUPPORT, 4, Randomness((i,)))
        assert all(drawn[name] is SUPPORT[name] for name in SUPPORT)


def test_what_is_augmented_never_comes_in_the_supports_own_tensors():
    drawn = Sampling(Augment()).support(SUPPORT, 4, Randomness())
    assert not any(drawn[name] is SUPPORT[name] for name in SUPPORT)
    assert not torch.equal(drawn["target"].sort(0)[0], SUPPORT["target"].sort(0)[0])


def test_fewer_samples_than_the_support_are_drawn_from_it_anew_each_time():
    drawn = [Sampling().support(SUPPORT, 2, Randomness((i,)))["target"] for i in range(8)]
    assert all(any(torch.equal(sample, whole) for whole in SUPPORT["target"]) for each in drawn for sample in each)
    assert any(not torch.equal(each, drawn[0]) for each in drawn)


def test_a_support_that_is_taken_whole_has_references_of_its_own_scene_drawn_anew():
    drawn = [Sampling(reference=Reference()).support(SUPPORT, 4, Randomness((i,))) for i in range(2)]
    assert all(each["target"] is SUPPORT["target"] for each in drawn)
    assert not torch.equal(drawn[0]["reference"], drawn[1]["reference"])
    assert not any(torch.equal(each["reference"], SUPPORT["target"]) for each in drawn)


class PairsByChance(ToyTask):
    """Its samples have a photograph of the scene beside them, another one in each step."""

    def load(self, indices):
        return super().load(indices).replace(beside=super().load(indices)["target"])

    def draw(self, index, rng):
        other = int(torch.randint(len(self), (1,), generator=rng.generator()))
        return self.load([index]).replace(beside=self.load([other])["target"])


class AsEver(ToyTask):
    """Draws what it loads, and says so by a method of its own."""

    def draw(self, index, rng):
        return self.load([index])


def test_a_scene_may_pair_samples_by_chance_and_the_address_decides():
    tasks = [PairsByChance("a", 6), PairsByChance("b", 6)]
    first, again = (Sampling().mixed(tasks, 8, Randomness((1,))) for _ in range(2))
    plain = Sampling().mixed([ToyTask("a", 6), ToyTask("b", 6)], 8, Randomness((1,)))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert torch.equal(first["target"], plain["target"])  # which samples come is drawn as ever
    assert not torch.equal(first["beside"], first["target"])
    scenes = [task.load(range(6))["target"] for task in tasks]
    for target, beside in zip(first["target"], first["beside"], strict=True):  # from the same scene
        assert any(
            any(torch.equal(target, each) for each in scene) and any(torch.equal(beside, each) for each in scene)
            for scene in scenes
        )


@pytest.mark.parametrize("settings", [{}, {"pick": "nearest", "among": 3}, {"self_share": 0.5}])
def test_exemplars_of_a_scene_that_draws_are_those_of_one_that_loads(settings):
    batches = [
        Sampling(reference=Reference(**settings)).mixed([kind("a", 6), kind("b", 1)], 8, Randomness((1,)))
        for kind in (ToyTask, AsEver)
    ]
    assert all(torch.equal(batches[0][name], batches[1][name]) for name in batches[0])
    assert "reference" in batches[0]


@pytest.mark.parametrize(("drawn", "got"), [(lambda task: task.load([0, 1]), "2 samples"), (lambda task: 1, "an int")])
def test_what_is_not_one_sample_is_refused(drawn, got):
    class Wrong(ToyTask):
        def draw(self, index, rng) -> Batch:
            return drawn(self)

    with pytest.raises(UserError, match=rf"draw of the scene 'a' \(Wrong\) gives {got}, expected one sample"):
        Sampling().mixed([Wrong("a", 6)], 2, Randomness())
