import copy
import math

import pytest
import torch

from metai2i import Objective, UserError
from metai2i.losses import objective as objectives
from metai2i.losses.objective import gan_discriminator_loss, gan_generator_loss

A = torch.tensor([2.0, -0.5])  # logits on photographs
B = torch.tensor([1.5, -3.0])  # logits on images


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def mean(function, logits: torch.Tensor) -> float:
    return sum(function(x) for x in logits.tolist()) / len(logits)


@pytest.mark.parametrize(
    ("mode", "formula"),
    [
        ("bce", lambda b: softplus(-b)),
        ("minimax", lambda b: -softplus(b)),
        ("lsgan", lambda b: (b - 1) ** 2),
        ("hinge", lambda b: -b),
    ],
)
def test_the_generators_loss_is_the_closed_form(mode, formula):
    assert float(gan_generator_loss(B, mode)) == pytest.approx(mean(formula, B))


@pytest.mark.parametrize(
    ("mode", "on_real", "on_fake"),
    [
        ("bce", lambda a: softplus(-a), softplus),
        ("minimax", lambda a: softplus(-a), softplus),
        ("lsgan", lambda a: (a - 1) ** 2, lambda b: b**2),
        ("hinge", lambda a: max(0, 1 - a), lambda b: max(0, 1 + b)),
    ],
)
def test_the_discriminators_loss_is_the_closed_form(mode, on_real, on_fake):
    real, fake = gan_discriminator_loss(A, B, mode)
    assert (float(real), float(fake)) == pytest.approx((mean(on_real, A), mean(on_fake, B)))


def test_minimax_is_the_other_side_of_the_discriminators_loss():
    assert gan_generator_loss(B, "minimax") == -gan_discriminator_loss(A, B, "minimax")[1]


def test_the_non_saturating_loss_pushes_hardest_where_the_discriminator_is_sure():
    def push(mode):
        logits = torch.tensor([-6.0], requires_grad=True)
        return abs(float(torch.autograd.grad(gan_generator_loss(logits, mode), logits)[0]))

    assert push("bce") == pytest.approx(1, abs=0.01)
    assert push("minimax") == pytest.approx(0, abs=0.01)


def test_an_undecided_discriminator_pays_ln_2_for_each_term():
    terms = Objective().discriminator(torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4))
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(
        {"real": math.log(2), "fake": math.log(2)}
    )


def test_the_default_is_the_papers_sum(monkeypatch):
    monkeypatch.setattr(
        objectives, "lpips_distance", lambda net, device: {"vgg16": lambda a, b: torch.tensor([0.1, 0.3])}[net]
    )
    terms = Objective().generator(torch.zeros(2, 3, 8, 8), torch.full((2, 3, 8, 8), 0.5), B)
    expected = {"l1": 0.5, "adversarial": 10 * mean(lambda b: softplus(-b), B), "perceptual": 2 * 0.2}
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(expected)


def test_terms_of_weight_0_are_left_out_and_need_nothing():
    objective = Objective(l1=100, adversarial=0, perceptual=0)
    assert not objective.uses_discriminator
    assert set(objective.generator(torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4))) == {"l1"}


def test_without_logits_the_adversarial_term_is_left_out():
    assert set(Objective(perceptual=0).generator(torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4))) == {"l1"}
    with pytest.raises(UserError, match="has no discriminator"):
        Objective(l1=0, perceptual=0).generator(torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4))


def test_the_perceptual_term_is_lpips_and_reaches_the_image():
    from metai2i.losses.lpips import lpips_distance

    fake, target = (torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(i)) * 2 - 1 for i in range(2))
    expected = 3 * float(lpips_distance("alex")(fake, target).mean())
    fake.requires_grad_()
    terms = Objective(l1=0, adversarial=0, perceptual=3, net="alex").generator(fake, target)
    assert float(terms["perceptual"].detach()) == pytest.approx(expected)
    assert float(torch.autograd.grad(terms["perceptual"], fake)[0].abs().sum()) > 0


@pytest.mark.parametrize("options", [{"l1": -1.0}, {"adversarial": math.inf}, {"perceptual": math.nan}])
def test_weights_that_make_no_sense_are_refused(options):
    with pytest.raises(UserError, match=rf"objective.{next(iter(options))}: got"):
        Objective(**options)


def test_an_empty_objective_is_refused():
    with pytest.raises(UserError, match="all 0"):
        Objective(l1=0, adversarial=0, perceptual=0)


def test_copies_of_a_translator_share_the_objective():
    objective = Objective()
    assert copy.deepcopy({"objective": objective})["objective"] is objective


@pytest.mark.parametrize("mode", ["bce", "minimax", "lsgan", "hinge"])
def test_losses_of_what_networks_give_in_bf16_are_those_of_the_same_numbers_in_float32(mode):
    objective = Objective(l1=2, adversarial=3, perceptual=0, gan=mode)
    fake, target = torch.rand(1, 3, 8, 8).bfloat16(), torch.rand(1, 3, 8, 8)
    real, faked = (torch.randn(1, 1, 4, 4).bfloat16() for _ in range(2))
    terms = {**objective.generator(fake, target, faked), **objective.discriminator(real, faked)}
    expected = {
        **objective.generator(fake.float(), target, faked.float()),
        **objective.discriminator(real.float(), faked.float()),
    }
    assert all(torch.equal(terms[name], expected[name]) for name in expected)
    assert {term.dtype for term in terms.values()} == {torch.float32}
