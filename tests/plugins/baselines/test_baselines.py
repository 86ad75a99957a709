"""`none`, `finetune`, `copy`, `source` and `colours` against what they claim to be."""

from __future__ import annotations

import copy

import pytest
import torch
from metai2i_baselines import Colours, Copy, FineTune, NoAdaptation, Source
from toys import ToyTask

from metai2i import Adaptation, Augment, Batch, Randomness, Step
from metai2i.meta.inner_loop import support_batches
from metai2i.training.checkpoint import digest
from metai2i.training.driving import descend, drive, parameter_groups, translate


def naive_summed_iou(a: torch.Tensor, b: torch.Tensor, classes: int) -> float:
    """Eq. 3 with sets of pixels: the sum over classes of |A and B| / |A or B|; classes that neither has add nothing."""
    total = 0.0
    for label in range(classes):
        ours = {i for i, value in enumerate(a.flatten().tolist()) if value == label}
        theirs = {i for i, value in enumerate(b.flatten().tolist()) if value == label}
        total += len(ours & theirs) / len(ours | theirs) if ours | theirs else 0.0
    return total


def blobs(count: int, seed: int, classes: int = 4, size: int = 6) -> Batch:
    """Maps with classes of very different sizes, and photos that tell which map they belong to."""
    generator = torch.Generator().manual_seed(seed)
    ids = (torch.rand(count, size, size, generator=generator) ** 3 * classes).long()
    structure = torch.nn.functional.one_hot(ids, classes).permute(0, 3, 1, 2).float()
    return Batch(structure=structure, target=torch.rand(count, 3, size, size, generator=generator) * 2 - 1)


@pytest.mark.parametrize("seed", range(5))
def test_copy_hands_back_the_photo_whose_map_has_the_highest_summed_iou(seed):
    support, query = blobs(4, seed), blobs(6, 100 + seed)
    copied = translate(Copy(inner=Adaptation()).adapt(None, support, Step()), query, Step())
    known, asked = support["structure"].argmax(1), query["structure"].argmax(1)
    for image, ids in zip(copied, asked, strict=True):
        scores = [naive_summed_iou(ids, other, classes=4) for other in known]
        assert torch.equal(image, support["target"][scores.index(max(scores))])


def test_copy_finds_the_very_same_map():
    support = blobs(5, 0)
    order = [3, 1, 4, 0, 2]
    copied = translate(Copy(inner=Adaptation()).adapt(None, support, Step()), support.select(order), Step())
    assert torch.equal(copied, support["target"][order])


def test_copy_counts_classes_and_not_pixels():
    """A small class found in full outweighs a few more pixels of a large one."""
    query = torch.tensor([[1, 0, 0, 0, 0, 0, 0, 0, 0, 0]])
    agreement = torch.tensor([[1, 2, 2, 0, 0, 0, 0, 0, 0, 0]])  # 8 of 10 pixels agree: 1 + 7/9
    larger = torch.tensor([[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]])  # 9 of 10 pixels agree: 9/10
    maps = torch.stack([larger, agreement, query])
    structure = torch.nn.functional.one_hot(maps, 3).permute(0, 3, 1, 2).float()
    target = torch.arange(3.0).view(3, 1, 1, 1).expand(3, 3, 1, 10)
    batch = Batch(structure=structure, target=target)
    copied = translate(Copy(inner=Adaptation()).adapt(None, batch.select([0, 1]), Step()), batch.select([2]), Step())
    assert copied[0, 0, 0, 0] == 1


def test_copy_trains_nothing():
    copier = Copy(inner=Adaptation()).adapt(None, blobs(2, 0), Step())
    assert dict(copier.players()) == {}
    assert list(copier.training_step(blobs(2, 0), Step())) == []
    assert list(copier.parameters()) == []


def test_none_draws_exactly_what_the_general_model_draws(toy, episode):
    model = NoAdaptation(inner=Adaptation()).adapt(toy, episode.support, Step())
    assert model is not toy
    assert digest(model) == digest(toy)
    assert torch.equal(translate(model, episode.query, Step()), translate(toy, episode.query, Step()))


@pytest.mark.parametrize("augment", [None, Augment()])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_finetune_is_training_a_deep_copy_on_the_support(toy, augment, optimizer):
    episode = ToyTask("a", 10).episode(3, 5, Randomness())
    inner = Adaptation(iterations=6, lr=1e-2, batch=2, optimizer=optimizer, augment=augment)
    before = digest(toy)
    ours = FineTune(inner=inner).adapt(toy, episode.support, Step())
    theirs = copy.deepcopy(toy)
    optimizers = {"adam": lambda ps: torch.optim.Adam(ps, betas=(0.5, 0.999)), "sgd": torch.optim.SGD}[optimizer]
    descent = optimizers(parameter_groups(theirs, 1e-2))
    for i, batch in enumerate(support_batches(episode.support, inner.for_training(6), Step().rng)):
        drive(theirs, batch, Step().at(i, inner=True), descend(theirs, descent))
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, msg=name)
    assert ours.seen == theirs.seen == 6
    assert digest(toy) == before


@pytest.mark.parametrize("strategy", [NoAdaptation, FineTune, Copy])
def test_none_of_them_is_meta_trained(strategy):
    assert strategy.meta is False
    assert strategy(inner=Adaptation()).meta_parameters() == {}
    with pytest.raises(NotImplementedError, match="has no meta_gradient"):
        strategy(inner=Adaptation()).meta_gradient(None, [], Step())


def unpaired(count: int = 3, size: int = 8) -> Batch:
    generator = torch.Generator().manual_seed(0)
    source, reference = torch.rand(2, count, 3, size, size, generator=generator) - 0.5
    return Batch(source=source, reference=0.5 * reference + 0.2)


def test_source_hands_back_the_input_as_it_is():
    batch = unpaired()
    assert torch.equal(translate(Source(inner=Adaptation()).adapt(None, batch, Step()), batch, Step()), batch["source"])


def test_colours_gives_the_input_the_exemplars_mean_and_deviation_in_each_channel():
    batch = unpaired()
    images = translate(Colours(inner=Adaptation()).adapt(None, batch, Step()), batch, Step())
    torch.testing.assert_close(images.mean((2, 3)), batch["reference"].mean((2, 3)))
    torch.testing.assert_close(images.std((2, 3)), batch["reference"].std((2, 3)))
    order = batch["source"][0, 0].flatten().argsort()
    assert torch.equal(images[0, 0].flatten().argsort(), order)


def test_colours_of_an_input_of_one_colour_are_the_exemplars_mean():
    batch = unpaired().replace(source=torch.full((3, 3, 8, 8), 0.7))
    images = translate(Colours(inner=Adaptation()).adapt(None, batch, Step()), batch, Step())
    torch.testing.assert_close(
        images, batch["reference"].mean((2, 3), keepdim=True).expand_as(images), atol=1e-3, rtol=0
    )
