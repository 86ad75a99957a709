"""How batches of an inner loop are drawn from a support."""

from __future__ import annotations

import torch
from toys import ToyTask

from metai2i import Augment, Randomness
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
