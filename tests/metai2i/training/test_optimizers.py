"""Optimisers of plain training: each player's own settings, TensorFlow's RMSProp, and how a rate falls."""

from __future__ import annotations

import pytest
import torch
from toys import Toy

from metai2i import UserError
from metai2i.recipe.schema import Player, Pretrain
from metai2i.training.cuda_graphs import reset_state, state_tensors
from metai2i.training.optimizers import TensorflowRMSprop, annealed, at_rate, plain_optimizer, set_factor


def groups(optimizer):
    return {group["name"]: group for group in optimizer.param_groups}


def test_a_player_has_its_own_settings_and_the_others_those_of_all(spec):
    discriminator_settings = Player(lr=4e-4, betas=(0.0, 0.9), eps=1e-3)
    settings = Pretrain(lr=1e-4, weight_decay=0.1, players={"discriminator": discriminator_settings})
    by_player = groups(plain_optimizer(Toy(spec=spec), settings))
    discriminator, all_others = by_player["discriminator"], by_player["generator"]
    assert [discriminator[key] for key in ("lr", "betas", "eps", "weight_decay")] == [4e-4, (0.0, 0.9), 1e-3, 0.1]
    assert [all_others[key] for key in ("lr", "betas", "eps", "weight_decay")] == [1e-4, (0.5, 0.999), 1e-8, 0.1]


def test_a_players_own_rate_is_not_scaled_by_the_translator_and_falls_with_the_others(spec, monkeypatch):
    monkeypatch.setattr(Toy, "rates", {"discriminator": 0.5, "generator": 0.5})
    toy, settings = Toy(spec=spec), Pretrain(lr=1e-2, players={"discriminator": Player(lr=1e-3)})
    optimizer = plain_optimizer(toy, settings)
    assert [groups(optimizer)[name]["lr"] for name in ("generator", "discriminator")] == [5e-3, 1e-3]
    set_factor(optimizer, toy, settings, 0.5)
    assert groups(optimizer)["discriminator"]["lr"] == 5e-4
    assert groups(optimizer)["generator"]["lr"] == 2.5e-3


def test_a_player_that_is_not_there_is_told(spec):
    with pytest.raises(UserError, match=r"pretrain\.players names 'generater', which is no player of Toy \(did you"):
        plain_optimizer(Toy(spec=spec), Pretrain(players={"generater": Player(lr=1.0)}))


def test_rmsprop_of_tensorflow_begins_with_a_mean_of_one_and_has_epsilon_inside_the_root():
    weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = TensorflowRMSprop([weight], lr=2e-4, eps=1e-10)
    seen = []
    for gradient in (0.1, -0.2, 0.3):
        weight.grad = torch.full((1,), gradient, dtype=torch.float64)
        optimizer.step()
        seen.append(weight.item())
    assert seen == pytest.approx([0.9999789299, 1.0000232405, 0.9999536052], abs=1e-10)


@pytest.mark.parametrize(("name", "kind"), [("rmsprop", torch.optim.RMSprop), ("rmsprop-tf", TensorflowRMSprop)])
def test_a_recipe_may_ask_for_rmsprop(spec, name, kind):
    optimizer = plain_optimizer(Toy(spec=spec), Pretrain(optimizer=name, lr=1e-3, eps=1e-9))
    assert type(optimizer) is kind
    assert {group["eps"] for group in optimizer.param_groups} == {1e-9}


@pytest.mark.parametrize("name", ["adam", "rmsprop", "rmsprop-tf"])
def test_an_optimiser_whose_state_is_put_back_takes_its_first_step_again(spec, name):
    """As a step that is recorded on a GPU has it, whose warm-up must leave no trace."""

    def steps(count, optimizer, toy):
        for _ in range(count):
            for parameter in toy.parameters():
                parameter.grad = torch.full_like(parameter, 0.1)
            optimizer.step()

    toy, fresh = Toy(spec=spec), Toy(spec=spec)
    fresh.load_state_dict(toy.state_dict())
    optimizer, reference = (plain_optimizer(each, Pretrain(optimizer=name, lr=1e-2)) for each in (toy, fresh))
    before = {where: tensor.clone() for where, tensor in state_tensors(optimizer).items()}
    steps(3, optimizer, toy)
    toy.load_state_dict(fresh.state_dict())
    reset_state(optimizer, before)
    steps(2, optimizer, toy)
    steps(2, reference, fresh)
    assert all(torch.equal(a, b) for a, b in zip(toy.parameters(), fresh.parameters(), strict=True))


def test_at_another_rate_players_keep_their_share_of_it():
    settings = Pretrain(lr=1e-3, players={"style": Player(lr=1e-5), "critic": Player(eps=1e-3)})
    slower = at_rate(settings, 1e-4)
    assert slower.lr == 1e-4
    assert slower.players["style"].lr == pytest.approx(1e-6)
    assert slower.players["critic"].lr is None
    assert at_rate(settings, 1e-3) == settings


def test_a_rate_falls_after_a_share_of_the_phase():
    assert [annealed(0.5, i, 100) for i in (0, 49, 50, 75, 99)] == pytest.approx([1, 1, 1, 0.5, 0.02])
    assert [annealed(True, i, 4) for i in range(4)] == [1, 0.75, 0.5, 0.25]
    assert [annealed(False, i, 4) for i in range(4)] == [1, 1, 1, 1]
    assert [annealed(1.0, i, 4) for i in range(4)] == [1, 1, 1, 1]
