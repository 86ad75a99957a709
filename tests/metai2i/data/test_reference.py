"""Where references come from, and that no query pixel gets into the input."""

from __future__ import annotations

import pytest
import torch
from toys import ToyTask

from metai2i import Adaptation, Augment, Batch, Randomness, Reference, Task, UserError
from metai2i.data.sampling import Sampling, others
from metai2i.meta.inner_loop import support_batches

RNG = Randomness((3,))
STILL = {"rotate": 0, "crop": 1}


class Numbered(Task):
    """Photograph n is of value n / 100 everywhere; its map has class n % 3."""

    def __init__(self, length: int) -> None:
        self.id, self.length, self.loaded = "numbered", length, []

    def __len__(self):
        return self.length

    def load(self, indices):
        self.loaded.append(list(indices))
        maps = torch.zeros(len(indices), 3, 8, 8)
        for n, index in enumerate(indices):
            maps[n, index % 3] = 1
        return Batch(structure=maps, target=torch.stack([torch.full((3, 8, 8), i / 100) for i in indices]))


def numbers(photos: torch.Tensor) -> list[int]:
    return [round(photo.mean().item() * 100) for photo in photos]


def test_the_reference_of_a_training_sample_is_another_photograph_of_its_scene():
    batch = Sampling(reference=Reference()).mixed([Numbered(6)], 50, RNG)
    assert all(
        target != other for target, other in zip(*map(numbers, (batch["target"], batch["reference"])), strict=True)
    )
    assert set(numbers(batch["reference"])) == set(range(6))


def test_the_nearest_of_some_is_the_one_with_the_most_similar_map():
    batch = Sampling(reference=Reference(pick="nearest", among=99)).mixed([Numbered(12)], 30, RNG)
    for target, other in zip(*map(numbers, (batch["target"], batch["reference"])), strict=True):
        assert target != other
        assert target % 3 == other % 3


def test_a_scene_of_one_pair_has_its_own_photograph_varied_as_its_reference():
    task = ToyTask("alone", 1)
    batch = Sampling(reference=Reference(rotate=30)).mixed([task], 4, RNG)
    assert not torch.equal(batch["reference"], batch["target"])
    plain = Sampling(reference=Reference(**STILL)).mixed([task], 4, RNG)
    assert torch.equal(plain["reference"], plain["target"])


def test_references_are_varied_on_their_own_and_not_flipped_with_their_pair():
    ramp = torch.linspace(-1, 1, 16).expand(2, 3, 16, 16)
    support = Batch(structure=torch.ones(2, 1, 16, 16), target=ramp)
    adaptation = Adaptation(batch=40, augment=Augment(rotate=0, crop=1), reference=Reference(**STILL))
    batch = next(support_batches(support, adaptation.for_training(1), RNG))
    flipped = [photo[0, 0, 0] > photo[0, 0, -1] for photo in batch["target"]]
    assert 0 < sum(flipped) < 40
    assert all(torch.equal(reference, ramp[0]) for reference in batch["reference"])


def test_support_samples_see_other_support_photographs_in_every_step():
    support = Numbered(5).load(range(5))
    for batch in support_batches(support, Adaptation(batch=5, reference=Reference()).for_training(20), RNG):
        targets, other = numbers(batch["target"]), numbers(batch["reference"])
        assert all(a != b for a, b in zip(targets, other, strict=True))


@pytest.mark.parametrize("options", [{}, {"pick": "nearest"}, {"still": False}, {"train": "target"}])
def test_no_query_pixel_can_reach_the_input_of_an_unseen_scene(options):
    """Whatever the photographs of the query are, what a translator is shown stays bit for bit the same."""

    class Swapped(ToyTask):
        def load(self, indices):
            batch = super().load(indices)
            hidden = torch.tensor([index in queries for index in indices])
            return batch.replace(target=torch.where(hidden.view(-1, 1, 1, 1), torch.nan, batch["target"]))

    sampling = Sampling(Augment(), Reference(**options))
    seen = sampling.episode(ToyTask("a", 12), 3, 4, RNG, unseen=True)
    queries = torch.randperm(12, generator=RNG.at("episode").generator()).tolist()[:4]
    blind = sampling.episode(Swapped("a", 12), 3, 4, RNG, unseen=True)
    assert blind.query["target"].isnan().all()
    assert torch.equal(blind.query["reference"], seen.query["reference"])
    assert torch.equal(blind.support["target"], seen.support["target"])


def test_the_papers_own_reading_leaks_and_has_to_be_asked_for():
    episode = Sampling(reference=Reference(test="target", **STILL)).episode(Numbered(9), 3, 4, RNG, unseen=True)
    assert torch.equal(episode.query["reference"], episode.query["target"])


def test_the_queries_of_an_unseen_scene_see_a_support_photograph_as_it_was_taken():
    episode = Sampling(reference=Reference(rotate=40)).episode(ToyTask("a", 9), 3, 4, RNG, unseen=True)
    support = [photo.tolist() for photo in episode.support["target"]]
    assert all(reference.tolist() in support for reference in episode.query["reference"])
    varied = Sampling(reference=Reference(rotate=40, still=False)).episode(ToyTask("a", 9), 3, 4, RNG, unseen=True)
    assert all(reference.tolist() not in support for reference in varied.query["reference"])


def test_the_query_of_a_training_episode_sees_the_support_varied():
    episode = Sampling(reference=Reference()).episode(Numbered(9), 3, 4, RNG)
    assert set(numbers(episode.query["reference"])) <= set(numbers(episode.support["target"]))


def test_without_a_reference_no_further_photograph_is_loaded():
    task = Numbered(6)
    assert "reference" not in Sampling().mixed([task], 3, RNG)
    assert [len(indices) for indices in task.loaded] == [1, 1, 1]


def test_others_are_drawn_without_replacement_and_leave_the_sample_out():
    assert sorted(others(5, 2, 9, RNG)) == [0, 1, 3, 4]
    assert len(others(5, 2, 2, RNG)) == 2


@pytest.mark.parametrize("options", [{"among": 0}, {"rotate": 200}, {"crop": 0}])
def test_options_out_of_range_are_refused_by_their_name(options):
    with pytest.raises(UserError, match=rf"^reference\.{next(iter(options))} "):
        Reference(**options)
