"""Driving a translator's moves: who moves when, on what, and what stays as it was."""

from __future__ import annotations

import copy

import pytest
import torch
from toys import Toy, ToyTask

from metai2i import Batch, Randomness, Step, UserError
from metai2i.training.checkpoint import digest
from metai2i.training.driving import (
    NonFinite,
    descend,
    drive,
    gradients,
    parameter_groups,
    parameters_of,
    translate,
    watch,
)


@pytest.fixture
def batch() -> Batch:
    return ToyTask("a", 4).load(range(4))


def sgd(toy: Toy, lr: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameter_groups(toy, lr))


def weights(toy: Toy) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in toy.named_parameters()}


def test_moves_are_made_in_the_order_in_which_they_are_yielded(toy, batch):
    moved = []
    drive(toy, batch, Step(), lambda players, loss: moved.append(players))
    assert moved == [("discriminator",), ("generator",)]


def test_the_discriminator_has_moved_before_the_generators_loss_is_computed(toy, batch):
    reference = copy.deepcopy(toy)
    losses = drive(toy, batch, Step(), descend(toy, sgd(toy)))
    # by hand: D takes its step on the generator's image, and only then is G judged
    fake = reference.generator(batch["structure"])
    real, faked = reference.discriminator(batch["target"]), reference.discriminator(fake.detach())
    ((real - 1).square().mean() + faked.square().mean()).backward()
    with torch.no_grad():
        for parameter in reference.discriminator.parameters():
            parameter.sub_(0.1 * parameter.grad)
    torch.testing.assert_close(
        losses["generator/adversarial"], (reference.discriminator(fake) - 1).square().mean().detach()
    )
    torch.testing.assert_close(toy.discriminator.weight, reference.discriminator.weight)


@pytest.mark.parametrize("mover", ["discriminator", "generator"])
def test_a_players_move_changes_nobody_else(toy, batch, mover):
    # Adam has moments of both by then, with which it would move a player whose gradient is zero instead of none
    adam = torch.optim.Adam(parameter_groups(toy, 0.1))
    update = descend(toy, adam)
    drive(toy, batch, Step(), update)
    before = weights(toy)

    def one_moves(players, loss):
        if players == (mover,):
            update(players, loss)

    drive(toy, batch, Step(), one_moves)
    changed = {name.split(".")[0] for name, tensor in weights(toy).items() if not torch.equal(tensor, before[name])}
    assert changed == {mover}


class Together(Toy):
    def training_step(self, batch, step):
        fake = self.generator(batch["structure"])
        yield ("generator", "discriminator"), {"l2": fake.square().mean() + self.discriminator(fake).square().mean()}


def test_several_players_can_move_at_once(spec, batch):
    toy = Together(spec=spec)
    before = weights(toy)
    assert drive(toy, batch, Step(), descend(toy, sgd(toy))).keys() == {"generator+discriminator/l2"}
    assert all(not torch.equal(tensor, before[name]) for name, tensor in weights(toy).items())


class Breaking(Toy):
    def __init__(self, *, spec, value):
        super().__init__(spec=spec)
        self.value = value

    def training_step(self, batch, step):
        for player, losses in super().training_step(batch, step):
            yield player, {**losses, "odd": losses["l2"] * self.value} if player == "generator" else losses


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_term_that_is_not_finite_stops_before_the_update(spec, batch, value):
    toy = Breaking(spec=spec, value=value)
    before = weights(toy)
    with pytest.raises(NonFinite) as caught:
        drive(toy, batch, Step(index=7), descend(toy, sgd(toy)))
    assert isinstance(caught.value, UserError)
    assert caught.value.what == f"the loss term 'odd' of 'generator' is {value}"
    assert all(torch.equal(p, before[name]) for name, p in toy.named_parameters() if name.startswith("generator"))


def test_terms_are_told_by_player_as_detached_scalars(toy, batch):
    losses = drive(toy, batch, Step(), watch)
    assert list(losses) == ["discriminator/real", "discriminator/fake", "generator/l2", "generator/adversarial"]
    assert all(value.ndim == 0 and not value.requires_grad for value in losses.values())


def test_watching_changes_nothing(toy, batch):
    before = weights(toy)
    drive(toy, batch, Step(), watch)
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(toy).items())
    assert all(p.grad is None for p in toy.parameters())


class Dropping(Toy):
    def training_step(self, batch, step):
        assert self.training
        for player, losses in super().training_step(batch, step):
            yield player, {name: loss * torch.rand(()) for name, loss in losses.items()}

    def translate(self, batch):
        assert not self.training
        assert not torch.is_grad_enabled()
        return super().translate(batch) + torch.rand(())


def test_global_randomness_is_left_as_it_was_and_decided_by_the_step(spec, batch):
    toy = Dropping(spec=spec)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first, same, other = (
        [*drive(toy, batch, Step(rng), watch).values(), translate(toy, batch, Step(rng))]
        for rng in (Randomness((1,)), Randomness((1,)), Randomness((2,)))
    )
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(5)
    assert all(torch.equal(a, b) for a, b in zip(first, same, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_global_randomness_is_left_as_it_was_by_a_step_that_fails(spec, batch):
    toy = Breaking(spec=spec, value=float("nan"))
    state = torch.get_rng_state()
    with pytest.raises(NonFinite):
        drive(toy, batch, Step(), watch)
    assert torch.equal(torch.get_rng_state(), state)


class Peeking(Toy):
    def translate(self, batch):
        return batch["target"]


def test_a_translator_that_looks_at_the_target_does_not_find_it(spec, batch):
    with pytest.raises(KeyError, match="no 'target'; it has structure"):
        translate(Peeking(spec=spec), batch, Step())


def test_an_image_comes_without_a_graph(toy, batch):
    image = translate(toy, batch, Step())
    assert not image.requires_grad
    assert image.grad_fn is None


def test_a_gradient_is_clipped_to_the_norm_move_by_move(toy, batch):
    start = weights(toy)
    drive(toy, batch, Step(), descend(toy, sgd(toy, lr=1.0), clip=1e-3))
    for player in toy.players():
        moved = [p - start[name] for name, p in toy.named_parameters() if name.startswith(player)]
        assert torch.cat([m.flatten() for m in moved]).norm().item() == pytest.approx(1e-3, rel=1e-3)


def test_a_gradient_below_the_norm_is_left_alone(toy, batch):
    other = copy.deepcopy(toy)
    drive(toy, batch, Step(), descend(toy, sgd(toy), clip=1e6))
    drive(other, batch, Step(), descend(other, sgd(other)))
    assert digest(toy) == digest(other)


def test_a_parameter_that_the_loss_does_not_reach_has_a_zero_gradient(toy):
    grads = gradients(toy.generator.weight.sum(), parameters_of(toy, ["generator", "discriminator"]))
    assert [bool(g.any()) for g in grads] == [True, False, False, False]


def test_a_players_rate_is_a_multiple_of_the_recipes(toy, monkeypatch):
    monkeypatch.setattr(Toy, "rates", {"generator": 0.01})
    assert {g["name"]: g["lr"] for g in parameter_groups(toy, 0.5)} == {"discriminator": 0.5, "generator": 0.005}


class Listening(Toy):
    """Remembers in which precision its generator gave images."""

    def __init__(self, *, spec):
        super().__init__(spec=spec)
        self.heard = []
        self.generator.register_forward_hook(lambda module, given, output: self.heard.append(output.dtype))


def in_precision(precision, spec, batch, update=watch):
    with Randomness((4,)).scope():
        toy = Listening(spec=spec)
    toy.precision = precision
    return toy, drive(toy, batch, Step(), update(toy) if update is not watch else watch)


def test_a_translator_computes_in_its_precision_and_keeps_its_weights(spec, batch):
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        toy, _ = in_precision(precision, spec, batch, lambda toy: descend(toy, sgd(toy)))
        assert translate(toy, batch, Step()).dtype == torch.float32
        assert toy.heard == [dtype, dtype]
        assert {p.dtype for p in toy.parameters()} == {torch.float32}
        assert {p.grad.dtype for p in toy.generator.parameters()} == {torch.float32}


def test_losses_in_bf16_are_close_to_those_in_float32_and_not_the_same(spec, batch):
    exact, rough = (in_precision(precision, spec, batch)[1] for precision in ("fp32", "bf16"))
    assert rough.keys() == exact.keys()
    assert all(float(rough[name]) == pytest.approx(float(exact[name]), rel=0.03, abs=0.01) for name in exact)
    assert any(float(rough[name]) != float(exact[name]) for name in exact)


def test_images_in_bf16_are_close_to_those_in_float32(spec, batch):
    images = [translate(in_precision(precision, spec, batch)[0], batch, Step()) for precision in ("fp32", "bf16")]
    assert 0 < (images[0] - images[1]).abs().max() < 0.02


def test_an_update_is_made_in_full_precision(spec, batch):
    seen = []
    in_precision("bf16", spec, batch, lambda toy: lambda players, loss: seen.append(torch.is_autocast_enabled("cpu")))
    assert seen == [False, False]


def test_a_loss_without_a_name_is_told_with_what_is_expected(spec, batch):
    class Bare(Toy):
        def training_step(self, batch, step):
            yield "generator", self.translate(batch).mean()

    said = "Bare.training_step yields .*Tensor.* for 'generator', expected losses by name"
    with pytest.raises(UserError, match=said) as caught:
        drive(Bare(spec=spec), batch, Step(), lambda players, loss: None)
    assert caught.value.hint == "such as {'l1': loss}"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"l1": torch.zeros(())}, "returns a dict, expected moves that it yields"),
        (("generator", {"l1": torch.zeros(())}), "returns a tuple, expected moves that it yields"),
        (None, "expected moves that it yields"),
        ([{"l1": torch.zeros(())}], "yields a dict, expected who moves and what they minimise"),
        ([("generator", {}, 1)], "yields a tuple, expected who moves and what they minimise"),
    ],
)
def test_a_step_that_yields_no_moves_is_told_how_to(toy, batch, monkeypatch, given, message):
    monkeypatch.setattr(toy, "training_step", lambda batch, step: given)
    with pytest.raises(UserError, match=message):
        drive(toy, batch, Step(), watch)


def test_a_loss_from_which_nothing_can_be_learned_is_told(toy, batch, monkeypatch):
    step = [("generator", {"l1": toy.translate(batch).abs().mean().detach()})]
    monkeypatch.setattr(toy, "training_step", lambda batch, step_of: step)
    with pytest.raises(UserError, match="depends on no parameter, so nothing can be learned from it"):
        drive(toy, batch, Step(), descend(toy, sgd(toy)))
