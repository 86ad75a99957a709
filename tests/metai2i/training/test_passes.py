"""Passes over all data: before and after each phase, from the same weights however often a stage is interrupted."""

from __future__ import annotations

import pytest
import torch
from toys import Toy, ToySource

from metai2i import Randomness, UserError
from metai2i.data.sampling import Sampling
from metai2i.recipe.schema import Average, Episodes, Metatrain, Pretrain
from metai2i.stages.metatrain import metatrain
from metai2i.stages.pretrain import pretrain
from metai2i.testing import run_contracts
from metai2i.training import loop
from metai2i.training.checkpoint import digest, load, part
from metai2i.training.passes import load_weights
from metai2i.training.stage_context import StageContext


class Gathers(Toy):
    """Keeps a code of every photograph before each phase, and their mean after it."""

    phases = ("warm", "main")

    def __init__(self, *, spec, objective=None):
        super().__init__(spec=spec)
        self.register_buffer("codes", None)
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("passes", torch.zeros(0))
        self.register_buffer("noise", torch.zeros(1))

    @torch.no_grad()
    def begin(self, phase, data):
        self.codes = torch.cat([self.code(batch) for batch in data()])
        self.passes = torch.cat([self.passes, torch.tensor([self.seen.item()])])
        self.noise = torch.randn(1)

    @torch.no_grad()
    def end(self, phase, data):
        self.mean = torch.cat([self.code(batch) for batch in data()]).mean(0)
        self.passes = torch.cat([self.passes, torch.tensor([-self.seen.item()])])

    def code(self, batch):
        return self.generator(batch["structure"]).mean((2, 3))


def model(spec, make=Gathers):
    with Randomness((1,)).scope():
        return make(spec=spec)


def trained(folder, toy, **settings):
    folder.mkdir(exist_ok=True)
    place = StageContext(folder, "pretrain", torch.device("cpu"), key="k")
    wish = Pretrain(**{"iterations": {"warm": 2, "main": 3}, "batch": 2, "lr": 1e-2, **settings})
    pretrain(place, toy, ToySource().tasks("train"), wish, Sampling(), Randomness((0, "pretrain")))
    return toy


def all_codes(toy):
    with torch.no_grad():
        return torch.cat([toy.code(task.load(range(len(task)))) for task in ToySource().tasks("train")])


def test_all_samples_are_seen_before_and_after_each_phase_in_the_order_of_the_scenes(spec, tmp_path):
    toy = trained(tmp_path, model(spec))
    # Steps that were behind it: before and (negative) after the first phase, then the second one.
    assert toy.passes.tolist() == [0, -2, 2, -5]
    assert toy.codes.shape == (4 * 6, 3)
    torch.testing.assert_close(toy.mean, all_codes(toy).mean(0))


def test_a_phase_of_no_steps_is_begun_and_ended_too_and_a_continuation_is_in_its_phase_alone(spec, tmp_path):
    assert trained(tmp_path / "a", model(spec), iterations={"warm": 2, "main": 0}).passes.tolist() == [0, -2, 2, -2]
    assert trained(tmp_path / "b", model(spec), iterations={"main": 2}).passes.tolist() == [0, -2]
    assert trained(tmp_path / "c", model(spec), iterations=0).passes.tolist() == [0, 0, 0, 0]


def test_the_last_pass_sees_the_averages_that_the_stage_leaves(spec, tmp_path):
    toy = trained(tmp_path, model(spec), average=Average(decay=0.9, players=("generator",)))
    torch.testing.assert_close(toy.mean, all_codes(toy).mean(0))


@pytest.mark.parametrize("stopped", [1, 2, 3, 4])
def test_a_stage_that_is_resumed_ends_with_the_same_bits(spec, tmp_path, monkeypatch, stopped):
    whole = trained(tmp_path / "whole", model(spec))
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)

    class Stops(Gathers):
        def training_step(self, batch, step):
            if self.seen == stopped and step.rng.key[-1] != "trial":
                raise KeyError("stopped")
            yield from super().training_step(batch, step)

    with pytest.raises(UserError, match="stopped"):
        trained(tmp_path / "part", model(spec, Stops))
    assert (tmp_path / "part" / "progress.safetensors").is_file()
    resumed = trained(tmp_path / "part", model(spec))
    assert digest(resumed) == digest(whole)
    assert resumed.passes.tolist() == [0, -2, 2, -5]


def test_buffers_of_any_size_come_back_from_the_file_of_the_stage(spec, tmp_path):
    toy, again = trained(tmp_path, model(spec)), model(spec)
    load_weights(again, part("model", load(tmp_path / "model.safetensors")[0]))
    assert digest(again) == digest(toy)
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_weights(again, {**toy.state_dict(), "generator.bias": torch.zeros(9)})


def test_a_translator_that_makes_no_passes_takes_no_other_sizes(spec):
    toy = model(spec, Toy)
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_weights(toy, {**toy.state_dict(), "seen": torch.zeros(4)})


def test_meta_training_begins_and_ends_its_phase(spec, tmp_path):
    from metai2i_reptile import Reptile

    from metai2i import Adaptation

    gp, tasks = model(spec), ToySource().tasks("train")
    strategy = Reptile(inner=Adaptation(iterations=1, batch=2), steps=1)
    strategy.prepare(gp)
    place = StageContext(tmp_path, "metatrain", torch.device("cpu"))
    settings, episodes = Metatrain(iterations=2, tasks=1, probe=9), Episodes(shots=2, queries=2)
    metatrain(place, gp, strategy, tasks, [], settings, episodes, Sampling(), Randomness((0,)), {})
    assert len(gp.passes) == 2
    torch.testing.assert_close(gp.mean, all_codes(gp).mean(0))


class Forgets(Gathers):
    @torch.no_grad()
    def begin(self, phase, data):
        self.kept = [self.code(batch) for batch in data()]


class Hides(Gathers):
    def __init__(self, *, spec, objective=None):
        super().__init__(spec=spec)
        self.register_buffer("hidden", torch.zeros(1), persistent=False)

    def begin(self, phase, data):
        self.hidden += 1


class Grows(Gathers):
    def begin(self, phase, data):
        self.codes = torch.cat([self.code(batch) for batch in data()])


@pytest.mark.parametrize(("make", "message"), [
    (Forgets, r"begin of Forgets \(.*\) keeps what it gathers in the plain attribute 'kept', which is lost"),
    (Hides, r"begin of Hides \(.*\) fills the buffer 'hidden', which is not saved"),
    (Grows, r"begin of Grows \(.*\) leaves a graph in the buffer 'codes' \(use torch.no_grad"),
])  # fmt: skip
def test_what_would_be_lost_is_refused(spec, tmp_path, make, message):
    with pytest.raises(UserError, match=message):
        trained(tmp_path, model(spec, make))


def test_the_contracts_know_of_passes():
    contract = "what it gathers of all data is kept"
    outcomes = run_contracts("translator", Gathers, strategies={})
    assert {o.contract.name: o.status for o in outcomes}[contract] == "ok"
    assert [(o.contract.name, o.error) for o in outcomes if o.status == "failed"] == []
    (failed,) = [o for o in run_contracts("translator", Forgets, strategies={}) if o.contract.name == contract]
    assert "keeps what it gathers in the plain attribute 'kept'" in failed.error.got
