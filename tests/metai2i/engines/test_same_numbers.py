"""Every engine gives the same meta-gradient, by other means."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from metai2i_bil import Bil
from metai2i_pg2 import PG2
from metai2i_pix2pix import Pix2pix
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from metai2i import Adaptation, Augment, Batch, Objective, Randomness, Step, TaskSpec, Translator
from metai2i.meta.engines.adjoint import Adjoint
from metai2i.meta.engines.inplace import InPlace
from metai2i.meta.engines.learn2learn import Learn2Learn
from metai2i.training.checkpoint import digest
from metai2i.training.driving import drive

SIDE = 16
STEP = Step(Randomness((5,)), phase="refine")
ADAM = Adaptation(lr=1e-2, eps=1e-4)
SGD = Adaptation(optimizer="sgd", lr=0.05)


def objective() -> Objective:
    return Objective(l1=2.0, adversarial=1.0, perceptual=0.0)


def pix2pix(**options) -> Pix2pix:
    spec = TaskSpec(structure_channels=2, size=(SIDE, SIDE))
    return Pix2pix(spec=spec, objective=objective(), width=2, downs=3, d_layers=1, **options)


def dropping() -> Pix2pix:
    """Pix2pix with dropout, which at this size its U-Net has no layers for."""
    translator = pix2pix()
    translator.dropout, translator.generator.dropping = "train", range(1, 3)
    return translator


def pg2(**options) -> PG2:
    spec = TaskSpec(structure_channels=2, size=(SIDE, SIDE), classes=("ground", "tree"))
    return PG2(spec=spec, objective=objective(), width=2, downs=2, **options)


class Tangled(Translator):
    """What is hard to differentiate: three moves, one of two players at once; a critic with spectral normalisation,
    whose vectors each pass moves; an image that is used again, with its graph, after its generator has moved; a
    gradient penalty; and a parameter that two layers share."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.generator = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 3, 3, padding=1)
        self.again = nn.Conv2d(2, 2, 3, padding=1, bias=False)
        self.again.weight = self.encoder.weight
        self.critic = nn.Sequential(spectral_norm(nn.Conv2d(3, 3, 3)), nn.Tanh(), nn.Conv2d(3, 1, 1))
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("fixed", torch.linspace(0, 1, 3))

    def players(self):
        names = ("critic", "encoder", "generator")
        return {name: getattr(self, name).parameters() for name in names}

    def training_step(self, batch, step):
        noise = torch.randn(1, 2, 1, 1, dtype=torch.float64)
        fake = self.translate(batch.replace(structure=batch["structure"] + 0.1 * noise))
        yield ("encoder", "generator"), {"l2": (fake - batch["target"] - self.mean[:, None, None]).square().mean()}
        self.mean.lerp_(fake.detach().mean((0, 2, 3)), 0.5)
        real = batch["target"].requires_grad_()
        logits = self.critic(real)
        slope = torch.autograd.grad(logits.sum(), real, create_graph=True)[0].square().mean()
        yield (
            "critic",
            {"real": (logits - 1).square().mean(), "fake": self.critic(fake).square().mean(), "slope": slope},
        )
        self.mean = self.mean + self.fixed
        yield "generator", {"adversarial": (self.critic(self.translate(batch)) - 1).square().mean()}

    def translate(self, batch):
        return self.generator(self.again(self.encoder(batch["structure"]).tanh())).tanh()


MODELS = {
    "pix2pix": pix2pix,
    "pix2pix, batch norm": partial(pix2pix, norm="batch"),
    "pix2pix, dropout": dropping,
    "pg2 in one stage": partial(pg2, d_layers=1),
    "pg2 in two stages": partial(pg2, variant="original", d_loss="triplet", d_layers=2),
    "tangled": Tangled,
}


def model(name: str, dtype: torch.dtype = torch.float64) -> Translator:
    with Randomness((name,)).scope():
        return MODELS[name]().to(dtype)


def batch(count: int, seed: int, dtype: torch.dtype = torch.float64) -> Batch:
    draw = partial(torch.rand, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    ids = (draw(count, SIDE, SIDE) < 0.5).long()
    structure = nn.functional.one_hot(ids, 2).permute(0, 3, 1, 2).to(dtype)
    target, reference = (draw(count, 3, SIDE, SIDE) * 2 - 1 for _ in range(2))
    return Batch(structure=structure, target=target, reference=reference)


def meta_gradient_of(engine, gp, adaptation=SGD, steps=3, dtype=torch.float64):
    """The meta-gradient of one episode, and the buffers of the copy that was judged."""
    gp.zero_grad(set_to_none=True)
    support, query, seen = batch(3, 1, dtype), batch(2, 2, dtype), {}

    def judge(copy, collect):
        losses = drive(copy, query, STEP.at("query"), collect)
        seen.update({name: buffer.clone() for name, buffer in copy.named_buffers()})
        return losses

    losses = engine.meta_gradient(gp, support, judge, adaptation.for_training(steps), STEP.at("inner"))
    return {name: p.grad for name, p in gp.named_parameters() if p.grad is not None}, seen, losses


def difference(left, other) -> float:
    """Of two gradients, relative to their size."""
    assert left.keys() == other.keys()
    apart = sum((left[name] - other[name]).double().square().sum() for name in left)
    return float((apart / sum(each.double().square().sum() for each in other.values())).sqrt())


@pytest.mark.parametrize("adaptation", [SGD, ADAM], ids=["sgd", "adam"])
@pytest.mark.parametrize("name", MODELS)
def test_the_adjoint_is_the_unrolled_second_order(name, adaptation):
    gp = model(name)
    ours, buffers, losses = meta_gradient_of(Adjoint(), gp, adaptation)
    unrolled, their_buffers, their_losses = meta_gradient_of(Learn2Learn("second"), gp, adaptation)
    plain, _, _ = meta_gradient_of(Learn2Learn("first"), gp, adaptation)
    assert difference(ours, unrolled) < 1e-10
    assert difference(ours, plain) > 1e-4  # there is a second order to be seen
    assert buffers.keys() == their_buffers.keys()
    for known, expected in ((buffers, their_buffers), (losses, their_losses)):
        for key, value in expected.items():
            torch.testing.assert_close(known[key], value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("steps", [0, 1, 5])
@pytest.mark.parametrize("adaptation", [SGD, ADAM], ids=["sgd", "adam"])
def test_whatever_the_number_of_steps(steps, adaptation):
    gp = model("pix2pix")
    ours, _, _ = meta_gradient_of(Adjoint(), gp, adaptation, steps)
    unrolled, _, _ = meta_gradient_of(Learn2Learn("second"), gp, adaptation, steps)
    assert difference(ours, unrolled) < 1e-10


@pytest.mark.parametrize("adaptation", [SGD, ADAM], ids=["sgd", "adam"])
@pytest.mark.parametrize("frozen", ["generator", "critic"])
def test_a_frozen_player_has_the_meta_gradient_of_the_unrolled_graph(frozen, adaptation):
    adaptation = Adaptation(optimizer=adaptation.optimizer, lr=adaptation.lr, eps=1e-4, freeze=(frozen,))
    gp = model("tangled")
    ours, _, _ = meta_gradient_of(Adjoint(), gp, adaptation)
    unrolled, _, _ = meta_gradient_of(Learn2Learn("second"), gp, adaptation)
    assert difference(ours, unrolled) < 1e-10
    assert all(p.grad.abs().sum() > 0 for p in getattr(gp, frozen).parameters())


@pytest.mark.parametrize(("adaptation", "apart"), [(SGD, 1e-6), (ADAM, 1e-4)], ids=["sgd", "adam"])
def test_single_precision_agrees_as_far_as_its_rounding_goes(adaptation, apart):
    gp = model("pix2pix", torch.float32)
    ours, _, _ = meta_gradient_of(Adjoint(), gp, adaptation, dtype=torch.float32)
    unrolled, _, _ = meta_gradient_of(Learn2Learn("second"), gp, adaptation, dtype=torch.float32)
    assert difference(ours, unrolled) < apart


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", MODELS)
def test_in_place_is_the_connected_copy_in_first_order(name, optimizer):
    # Biases before a normalisation have gradients of pure rounding, which Adam would magnify at its default eps.
    gp, adaptation = model(name), Adaptation(optimizer=optimizer, lr=1e-2, eps=1e-4)
    ours, buffers, _ = meta_gradient_of(InPlace(), gp, adaptation, 5)
    connected, their_buffers, _ = meta_gradient_of(Learn2Learn("first"), gp, adaptation, 5)
    assert difference(ours, connected) < 1e-8
    for key, value in their_buffers.items():
        torch.testing.assert_close(buffers[key], value, rtol=1e-8, atol=1e-8)


def test_in_place_agrees_in_single_precision():
    gp = model("pix2pix", torch.float32)
    ours, _, _ = meta_gradient_of(InPlace(), gp, SGD, 5, torch.float32)
    connected, _, _ = meta_gradient_of(Learn2Learn("first"), gp, SGD, 5, torch.float32)
    assert difference(ours, connected) < 5e-6


@pytest.mark.parametrize("adaptation", [SGD, ADAM], ids=["sgd", "adam"])
@pytest.mark.parametrize("keep", ["sqrt", "disk"])
def test_the_way_of_keeping_changes_no_bit(keep, adaptation):
    gp = model("tangled")
    ours, _, _ = meta_gradient_of(Adjoint(keep), gp, adaptation, 5)
    expected, _, _ = meta_gradient_of(Adjoint(), gp, adaptation, 5)
    assert all(torch.equal(ours[name], expected[name]) for name in expected)


@pytest.mark.parametrize("engine", [Adjoint(), Adjoint("sqrt"), InPlace(), Learn2Learn()], ids=lambda e: e.name)
@pytest.mark.parametrize("name", ["pix2pix, dropout", "tangled"])
def test_the_general_model_is_untouched(engine, name):
    gp = model(name)
    before = digest(gp)
    meta_gradient_of(engine, gp, ADAM)
    assert digest(gp) == before


def test_augmentation_under_the_strategy(toy, episodes):
    grads = {}
    for engine in ("adjoint", "learn2learn"):
        toy.zero_grad(set_to_none=True)
        inner = Adaptation(lr=1e-2, eps=1e-4, augment=Augment())
        losses = Bil(inner=inner, steps=3, order="second", engine=engine).meta_gradient(toy, episodes[0], Step())
        grads[engine] = {name: p.grad for name, p in toy.named_parameters()}
        assert "query/generator/l2" in losses
    assert difference(grads["adjoint"], grads["learn2learn"]) < 1e-5
