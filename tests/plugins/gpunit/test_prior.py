"""The prior's one move: what is minimised, what it draws, and what it refuses."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from metai2i_gpunit import GPUnitPrior
from metai2i_gpunit.losses import code_norm
from metai2i_gpunit.prior import small_masks
from torch.nn.functional import cross_entropy

from metai2i import Batch, Objective, Step, UserError
from metai2i.testing import run_contracts

BlockTwins = runpy.run_path(str(Path(__file__).with_name("twin_data.py")))["BlockTwins"]
SOURCE = BlockTwins()
PLAIN = Objective(l1=0, adversarial=1, perceptual=0)
"""Nothing of the recipe's is minimised: there is no discriminator."""


def prior(objective=PLAIN, **options):
    return GPUnitPrior(spec=SOURCE.spec(), objective=objective, **{"width": 2, "noise": 0.0, **options}).eval()


def batch():
    samples = [SOURCE.tasks("train")[n].load([0, 1]) for n in range(2)]
    return Batch.cat(samples)


STEP = Step()


def losses(translator, samples, step=STEP):
    ((who, terms),) = translator.training_step(samples.replace(**translator.draws(samples, step)), step)
    assert who == "autoencoder"
    return {name: term.detach() for name, term in terms.items()}


def test_each_term_is_the_distance_that_it_says_times_its_weight():
    weights = {"appearance": 2.0, "shape": 3.0, "content": 5.0, "swapped": 7.0, "code": 11.0, "adversary": 13.0}
    translator, samples = prior(**weights), batch()
    flips = translator.draws(samples, Step())["flips"].T.reshape(-1, 1, 1, 1)
    images = torch.cat([samples["source"], samples["twin"]])
    classes = torch.cat([samples["domain"], samples["twin_domain"]])
    masks = small_masks(torch.cat([samples["mask"], samples["twin_mask"]]))
    codes = translator.encoder(images).code
    style = translator.style(torch.where(flips, images.flip(-1), images))
    embedded = translator.embedding(classes)
    outputs, shapes = translator.decoder(codes, embedded, style)
    swapped = translator.decoder(torch.cat([codes[4:], codes[:4]]), embedded, style)[1]
    expected = {
        "appearance": 2 * (outputs - images).square().mean(),
        "shape": 3 * (shapes - masks).abs().mean(),
        "content": 5 * (codes[:4] - codes[4:]).abs().mean(),
        "swapped": 7 * (swapped - masks).abs().mean(),
        "code": 11 * code_norm(codes),
        "class": 13 * cross_entropy(translator.adversary(codes), classes),
    }
    torch.testing.assert_close(losses(translator, samples), {name: term.detach() for name, term in expected.items()})


def test_the_second_twin_is_held_while_the_first_comes_nearer():
    translator, samples = prior(appearance=0, shape=0, swapped=0, code=0, adversary=0), batch()
    first, second = (samples[name].clone().requires_grad_() for name in ("source", "twin"))
    samples = samples.replace(source=first, twin=second)
    ((_, terms),) = translator.training_step(samples.replace(**translator.draws(samples, Step())), Step())
    terms["content"].backward()
    assert first.grad.abs().sum() > 0
    assert second.grad is None or second.grad.abs().sum() == 0


def test_a_photograph_without_a_twin_counts_for_its_reconstruction_alone():
    translator, samples = prior(), batch()
    alone = samples.select([0])
    alone = alone.replace(twin=alone["source"], twin_domain=alone["domain"], twin_mask=alone["mask"])
    quiet = {"flips": torch.zeros(4, 2, dtype=torch.bool), "noise": torch.zeros(4, 2, 8, 8)}

    def terms(some):
        draws = {name: tensor[: some.size] for name, tensor in quiet.items()}
        ((_, each),) = translator.training_step(some.replace(**draws), Step())
        return each

    pairs = samples.select([1, 2, 3])
    of_pairs, of_all, of_one = terms(pairs), terms(Batch.cat([alone, pairs])), terms(alone)
    for name in ("content", "swapped"):
        torch.testing.assert_close(of_all[name], of_pairs[name])
        assert float(of_one[name].detach()) == 0
    for name in ("appearance", "shape", "class"):
        torch.testing.assert_close(of_all[name], (of_one[name] + 6 * of_pairs[name]) / 7)


def test_masks_become_shapes_of_16_pixels_between_minus_1_and_1():
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., :16] = 1
    shape = small_masks(mask)
    assert shape.shape == (1, 3, 16, 16)
    assert (shape[..., :8] == 1).all()
    assert (shape[..., 8:] == -1).all()


def test_noise_has_its_deviation_and_styles_are_mirrored_half_of_the_time():
    translator, many = prior(noise=0.2), Batch(source=torch.zeros(200, 1))
    draws = translator.draws(many, Step())
    assert draws["noise"].std() == pytest.approx(0.2, rel=0.02)
    assert draws["flips"].float().mean() == pytest.approx(0.5, abs=0.1)


def test_a_class_that_training_does_not_know_stands_for_the_mean_of_all_and_is_no_class_of_the_adversary():
    translator, samples = prior(), batch()
    mean = translator.embedding.weight.mean(0)
    torch.testing.assert_close(translator.embedded(torch.tensor([2, 9])), torch.stack([mean, mean]))
    unknown = samples.replace(domain=torch.full((4,), 2), twin_domain=torch.full((4,), 3))
    assert float(losses(translator, unknown)["class"]) == 0


def test_without_an_adversary_no_class_is_told():
    translator = prior(adversary=0)
    assert translator.adversary is None
    assert "class" not in losses(translator, batch())


def test_the_objective_looks_at_reconstructions_where_it_has_something_to_compare():
    translator, samples = prior(Objective(l1=3, adversarial=1, perceptual=0)), batch()
    assert "l1" not in losses(prior(), samples)
    assert float(losses(translator, samples)["l1"]) > 0


def test_images_are_shown_with_their_codes_shapes_and_the_twins_look():
    translator, samples = prior(), batch()
    assert {name: tuple(images.shape) for name, images in translator.shown(samples).items()} == dict.fromkeys(
        ("code", "shape", "swapped"), (4, 3, 32, 32)
    )


@pytest.mark.parametrize("domains", [0, 1])
def test_data_of_a_single_class_is_refused(domains):
    with pytest.raises(UserError, match=f"needs twins of two classes or more, the task source has {domains}"):
        GPUnitPrior(spec=replace(SOURCE.spec(), domains=domains), objective=PLAIN)


@pytest.mark.slow
def test_it_keeps_the_contracts_of_a_translator():
    outcomes = run_contracts("translator", GPUnitPrior, {"width": 2}, source=SOURCE)
    assert {each.contract.name: str(each.error) for each in outcomes if each.status == "failed"} == {}
