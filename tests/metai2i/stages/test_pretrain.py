"""Plain training: phases in order, batches from all scenes, an optimiser as the recipe says."""

from __future__ import annotations

import pytest
import torch
from toys import Toy, ToySource, ToyTask

from metai2i import Augment, Randomness, Step
from metai2i.data.sampling import Sampling
from metai2i.recipe.schema import Pretrain
from metai2i.stages.pretrain import phase_ends, pretrain
from metai2i.training.checkpoint import digest
from metai2i.training.driving import descend, drive
from metai2i.training.optimizers import plain_optimizer
from metai2i.training.stage_context import StageContext


class Phased(Toy):
    phases = ("warm", "rest", "main")

    def __init__(self, *, spec):
        super().__init__(spec=spec)
        self.steps: list[Step] = []

    def training_step(self, batch, step):
        self.steps.append(step)
        yield from super().training_step(batch, step)


def trained(tmp_path, spec, settings, augment=None, make=Phased):
    with Randomness((1,)).scope():
        toy = make(spec=spec)
    place = StageContext(tmp_path, "pretrain", torch.device("cpu"))
    losses = pretrain(place, toy, ToySource().tasks("train"), settings, Sampling(augment), Randomness((0, "pretrain")))
    return toy, losses


@pytest.mark.parametrize(
    ("iterations", "lengths"),
    [(3, {"warm": 3, "rest": 3, "main": 3}), ({"warm": 2, "rest": 0, "main": 4}, {"warm": 2, "main": 4})],
)
def test_phases_come_one_after_the_other_each_with_its_own_count(tmp_path, spec, iterations, lengths):
    toy, losses = trained(tmp_path, spec, Pretrain(iterations=iterations, batch=2))
    expected = [(phase, index, total) for phase, total in lengths.items() for index in range(total)]
    assert [(step.phase, step.index, step.total) for step in toy.steps] == expected
    assert losses["iterations"] == len(expected)
    assert len({step.rng for step in toy.steps}) == len(expected)
    assert not any(step.inner for step in toy.steps)


def test_a_phase_that_is_left_out_takes_no_steps(spec):
    assert phase_ends(Phased(spec=spec), {"main": 5}) == [("warm", 0, 0), ("rest", 0, 0), ("main", 5, 0)]


def test_training_is_the_plain_loop(tmp_path, spec):
    settings = Pretrain(iterations=4, batch=3, lr=1e-2)
    ours, _ = trained(tmp_path, spec, settings, Augment(), Toy)
    with Randomness((1,)).scope():
        theirs = Toy(spec=spec)
    adam = torch.optim.Adam(theirs.parameters(), lr=1e-2, betas=(0.5, 0.999))
    for i in range(4):
        here = Randomness((0, "pretrain", i))
        batch = Sampling(Augment()).mixed(ToySource().tasks("train"), 3, here)
        drive(theirs, batch, Step(here, i, 4), descend(theirs, adam))
    assert digest(ours) == digest(theirs)


def test_the_optimiser_is_adam_as_the_recipe_says_with_every_players_rate(toy, monkeypatch):
    monkeypatch.setattr(Toy, "rates", {"generator": 0.1})
    adam = plain_optimizer(toy, Pretrain(lr=1e-2, betas=(0.1, 0.2), weight_decay=0.3))
    assert isinstance(adam, torch.optim.Adam)
    settings = {group["name"]: (group["lr"], group["betas"], group["weight_decay"]) for group in adam.param_groups}
    assert settings == {"discriminator": (1e-2, (0.1, 0.2), 0.3), "generator": (pytest.approx(1e-3), (0.1, 0.2), 0.3)}


def test_a_batch_holds_whole_pairs(spec):
    tasks = [ToyTask(name, 3) for name in "abc"]
    every = [task.load([i]) for task in tasks for i in range(3)]
    batch = Sampling().mixed(tasks, 20, Randomness())
    assert batch.size == 20
    for structure, target in zip(batch["structure"], batch["target"], strict=True):
        assert any(torch.equal(structure, p["structure"][0]) and torch.equal(target, p["target"][0]) for p in every)


def test_scenes_are_drawn_evenly_however_many_pairs_they_have():
    class Told(ToyTask):
        def load(self, indices):
            drawn.append((self.id, *indices))
            return super().load(indices)

    drawn = []
    Sampling().mixed([Told("few", 2, (1, 1)), Told("many", 200, (1, 1))], 2000, Randomness())
    few = [i for name, i in drawn if name == "few"]
    assert len(few) == pytest.approx(1000, abs=100)
    assert few.count(0) == pytest.approx(500, abs=75)
    assert {i for name, i in drawn if name == "many"} <= set(range(200))


def test_a_batch_is_decided_by_its_address():
    tasks = ToySource().tasks("train")
    first, same, other = (Sampling(Augment()).mixed(tasks, 4, Randomness((n,)))["target"] for n in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("anneal", [True, 0.0])
def test_an_annealed_rate_falls_linearly_to_0_over_each_phase_for_every_player(tmp_path, spec, monkeypatch, anneal):
    rates: list[dict[str, float]] = []
    step = torch.optim.Adam.step

    def watched(self, *args, **kwargs):
        rates.append({group["name"]: group["lr"] for group in self.param_groups})
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    monkeypatch.setattr(Phased, "rates", {"discriminator": 0.5})
    trained(tmp_path, spec, Pretrain(iterations={"rest": 2, "main": 4}, batch=2, lr=1e-2, anneal=anneal))
    moves = len(rates) // 6
    generator = [r["generator"] for r in rates[::moves]]
    assert generator == pytest.approx([1e-2, 5e-3, 1e-2, 7.5e-3, 5e-3, 2.5e-3])
    assert all(r["discriminator"] == pytest.approx(r["generator"] / 2) for r in rates if "discriminator" in r)
