"""Averages of weights: kept by the host, used as the model, with the trained weights beside them."""

from __future__ import annotations

import pytest
import torch
from toys import Toy, ToySource

from metai2i import Randomness, UserError
from metai2i.data.sampling import Sampling
from metai2i.recipe.schema import Average, Pretrain
from metai2i.stages import pretrain as stage
from metai2i.stages.pretrain import pretrain
from metai2i.training.averages import Averages, put_trained_back
from metai2i.training.checkpoint import load, part
from metai2i.training.stage_context import StageContext

AVERAGE = Average(decay=0.5, players=("generator",))


def generator(toy):
    return [weight.detach().clone() for weight in toy.players()["generator"]]


@pytest.fixture
def toy(spec):
    with Randomness((1,)).scope():
        return Toy(spec=spec)


def trained(folder, toy, settings, weights=None):
    folder.mkdir(exist_ok=True)
    place = StageContext(folder, "pretrain", torch.device("cpu"))
    pretrain(place, toy, ToySource().tasks("train"), settings, Sampling(), Randomness((0, "pretrain")), weights)
    return load(folder / "model.safetensors")[0]


def test_an_average_follows_by_its_decay_and_takes_the_place_of_the_weights(toy):
    first = generator(toy)
    average = Averages(toy, 0.75, ["generator"])
    with torch.no_grad():
        for weight in toy.parameters():
            weight.add_(1.0)
    others = [w.detach().clone() for w in toy.players()["discriminator"]]
    average.follow()
    weights = average.exchange()
    for now, was in zip(generator(toy), first, strict=True):
        torch.testing.assert_close(now, was + 0.25)
    for now, was in zip(toy.players()["discriminator"], others, strict=True):
        assert torch.equal(now, was)
    put_trained_back(toy, weights)
    for now, was in zip(generator(toy), first, strict=True):
        torch.testing.assert_close(now, was + 1.0)


def test_the_players_must_be_there(toy):
    with pytest.raises(UserError, match=r"average\.players names 'generate', which is no player of Toy \(did you mean"):
        Averages(toy, 0.5, ["generate"])


def test_a_finished_stage_holds_the_averages_as_the_model_and_the_weights_beside_it(tmp_path, toy, spec):
    plain = Toy(spec=spec)
    plain.load_state_dict(toy.state_dict())
    begin = generator(toy)
    settings = Pretrain(iterations=2, batch=2, lr=1e-2)
    after = []
    for n in (1, 2):
        copy = Toy(spec=spec)
        copy.load_state_dict(toy.state_dict())
        trained(tmp_path / f"plain{n}", copy, settings.model_copy(update={"iterations": n}))
        after.append(generator(copy))
    tensors = trained(tmp_path / "averaged", toy, settings.model_copy(update={"average": AVERAGE}))
    names = [name for name, _ in plain.named_parameters() if f"trained.{name}" in tensors]
    assert len(names) == len(begin)
    for name, w0, w1, w2 in zip(names, begin, *after, strict=True):
        torch.testing.assert_close(tensors[f"model.{name}"], w0 / 4 + w1 / 4 + w2 / 2)
        assert torch.equal(tensors[f"trained.{name}"], w2)
    assert not any(name.startswith("average.") for name in tensors)


def test_a_continuation_trains_the_weights_and_goes_on_averaging(tmp_path, toy, spec):
    settings = Pretrain(iterations=3, batch=2, lr=1e-2, optimizer="rmsprop", average=AVERAGE)
    tensors = trained(tmp_path / "first", toy, settings)
    averaged = {name: weight.detach().clone() for name, weight in toy.named_parameters()}
    longer = trained(tmp_path / "then", toy, settings.model_copy(update={"iterations": 1}), part("trained", tensors))
    plain = Toy(spec=spec)
    plain.load_state_dict(toy.state_dict())
    put_trained_back(plain, part("trained", tensors))
    plain.load_state_dict({**plain.state_dict(), **{k: v for k, v in part("model", tensors).items() if "disc" in k}})
    expected = trained(tmp_path / "plain", plain, settings.model_copy(update={"iterations": 1, "average": None}))
    for name, weight in part("trained", longer).items():
        assert torch.equal(weight, expected[f"model.{name}"])
        torch.testing.assert_close(longer[f"model.{name}"], averaged[name] / 2 + weight / 2)


def test_a_stage_that_was_killed_goes_on_with_its_averages(tmp_path, toy, spec, monkeypatch):
    other = Toy(spec=spec)
    other.load_state_dict(toy.state_dict())
    settings = Pretrain(iterations=6, batch=2, lr=1e-2, average=AVERAGE)
    whole = trained(tmp_path / "whole", toy, settings)
    drive, taken = stage.drive, 0

    def killed(*arguments):
        nonlocal taken
        taken += 1
        if taken == 5:  # the first, of a trial, does not count
            raise KeyboardInterrupt
        return drive(*arguments)

    monkeypatch.setattr("metai2i.training.loop.SAVE_EVERY", 0.0)
    monkeypatch.setattr(stage, "drive", killed)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "killed", other, settings)
    monkeypatch.setattr(stage, "drive", drive)
    again = trained(tmp_path / "killed", Toy(spec=spec), settings)
    assert whole.keys() == again.keys()
    assert all(torch.equal(whole[name], again[name]) for name in whole)
