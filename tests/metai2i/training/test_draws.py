"""What a step draws is put into its batch by the host, so that a step may be recorded and replayed with other draws."""

from __future__ import annotations

import pytest
import torch
from metai2i_bil import Bil
from toys import Toy, ToySource, ToyTask

from metai2i import Adaptation, Randomness, Step, UserError
from metai2i.data.sampling import Sampling
from metai2i.meta import inner_loop
from metai2i.meta.inner_loop import adapted
from metai2i.recipe.schema import Pretrain
from metai2i.stages import pretrain as stage
from metai2i.stages.pretrain import pretrain
from metai2i.testing import run_contracts
from metai2i.training import cuda_graphs
from metai2i.training.checkpoint import digest
from metai2i.training.cuda_graphs import InnerLoops, RecordedStep
from metai2i.training.driving import descend, drive, watch, with_draws
from metai2i.training.optimizers import plain_optimizer
from metai2i.training.stage_context import StageContext


class ByItself(Toy):
    """Draws noise for its outputs in its training step, which weighs less from step to step."""

    def drawn(self, batch, step):
        noise = torch.randn(batch["target"].shape, generator=step.rng.at("noise").generator())
        return {"noise": noise, "weight": torch.full((batch.size, 1, 1, 1), 1 - step.index / max(1, step.total))}

    def training_step(self, batch, step):
        noise, weight = self.drawn(batch, step).values()
        yield "generator", {"l2": self.loss(batch, noise, weight)}
        yield "discriminator", {"real": self.discriminator(batch["target"]).square().mean()}

    def loss(self, batch, noise, weight):
        return (self.generator(batch["structure"]) + weight * noise - batch["target"]).square().mean()


class ByTheHost(ByItself):
    """The same, drawn by the host."""

    replayable = True

    def draws(self, batch, step):
        return self.drawn(batch, step)

    def training_step(self, batch, step):
        yield "generator", {"l2": self.loss(batch, batch["noise"], batch["weight"])}
        yield "discriminator", {"real": self.discriminator(batch["target"]).square().mean()}


def both(spec):
    models = []
    for make in (ByItself, ByTheHost):
        with Randomness((1,)).scope():
            models.append(make(spec=spec))
    return models


def batches(count):
    return [ToyTask(f"b{n}", 4).load(range(4)) for n in range(count)]


def trained(folder, toy):
    folder.mkdir(exist_ok=True)
    place = StageContext(folder, "pretrain", torch.device("cpu"))
    settings = Pretrain(iterations=4, batch=3, lr=1e-2)
    pretrain(place, toy, ToySource().tasks("train"), settings, Sampling(), Randomness((0, "pretrain")))
    return digest(toy)


def test_a_step_with_draws_of_the_host_gives_the_bits_of_one_that_draws_itself(spec, tmp_path):
    by_itself, by_host = both(spec)
    assert trained(tmp_path / "a", by_itself) == trained(tmp_path / "b", by_host)


def test_so_do_inner_loops_and_meta_gradients(spec):
    episode = ToyTask("a", 8).episode(3, 3, Randomness((2,)))
    digests, gradients = [], []
    for toy in both(spec):
        inner = Adaptation(iterations=3, batch=3, lr=0.05)
        digests.append(digest(adapted(toy, episode.support, inner, Step(Randomness((3,))))))
        for order in ("first", "second"):
            Bil(inner=inner, steps=2, order=order).meta_gradient(toy, episode, Step(Randomness((4,))))
        gradients.append([p.grad for p in toy.parameters()])
    assert digests[0] == digests[1]
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_a_recording_is_replayed_with_the_draws_of_each_step(spec):
    """On a CPU the recording is the step itself on tensors of its own, so that what is not copied into these shows."""
    run, recorded = both(spec)
    settings = Pretrain(lr=0.05)
    update = descend(run, plain_optimizer(run, settings))
    steps = [Step(Randomness((n,)), n, 3) for n in range(3)]
    example = with_draws(recorded, batches(1)[0], steps[0])
    replayed = RecordedStep(recorded, plain_optimizer(recorded, settings), example, steps[0])
    for batch, step in zip(batches(3), steps, strict=True):
        drive(run, batch, step, update)
        replayed(with_draws(recorded, batch, step))
    assert digest(run) == digest(recorded)


def test_plain_training_that_is_recorded_ends_with_the_same_bits(spec, tmp_path, monkeypatch):
    by_itself, by_host = both(spec)
    expected = trained(tmp_path / "a", by_itself)
    monkeypatch.setattr(stage, "replays", lambda translator, device: translator.replayable)
    monkeypatch.setattr(stage, "WORTH", 1)
    calls = []
    monkeypatch.setattr(cuda_graphs.RecordedStep, "_body", spied(calls, cuda_graphs.RecordedStep._body))
    assert trained(tmp_path / "b", by_host) == expected
    assert len(calls) == 4


def spied(calls, body):
    def noted(self):
        calls.append(self)
        body(self)

    return noted


def test_inner_loops_that_are_recorded_end_with_the_same_bits(spec, monkeypatch):
    by_itself, by_host = both(spec)
    monkeypatch.setattr(inner_loop, "replays", lambda translator, device: translator.replayable)
    inner, scenes = Adaptation(iterations=3, batch=3, lr=0.05), [ToyTask(name, 5).load(range(5)) for name in "abc"]
    for n, scene in enumerate(scenes):  # the first one runs, the others are replayed, each at an address of its own
        step = Step(Randomness((n,)))
        assert digest(adapted(by_itself, scene, inner, step)) == digest(adapted(by_host, scene, inner, step))
    assert len(InnerLoops.of(by_host)._loops) == 1


def test_nobody_looks_up_who_has_written_a_translator_whose_draws_are_right(spec, monkeypatch):
    monkeypatch.setattr("metai2i.training.driving.label_of", lambda _: pytest.fail("it takes longer than a step"))
    _, toy = both(spec)
    assert "noise" in with_draws(toy, batches(1)[0], Step())


def test_draws_are_decided_by_the_address_and_stay_where_they_are_given(spec):
    _, toy = both(spec)
    (batch,) = batches(1)
    first, again, other = (with_draws(toy, batch, Step(Randomness((n,))))["noise"] for n in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(with_draws(toy, batch.replace(noise=other), Step(Randomness((0,))))["noise"], other)


@pytest.mark.parametrize(("drawn", "message"), [
    (lambda batch: [1], "gives a list, expected tensors by names"),
    (lambda batch: {"z": 1.0}, "gives a float for 'z', expected a tensor whose first dimension is 4"),
    (lambda batch: {"z": torch.zeros(3)}, r"gives \(3,\) for 'z', expected a tensor whose first dimension is 4"),
    (lambda batch: {"z": torch.tensor(0.0)}, r"gives \(\) for 'z', expected"),
])  # fmt: skip
def test_what_is_no_draw_for_each_sample_is_refused(spec, drawn, message):
    class Wrong(ByTheHost):
        def draws(self, batch, step):
            return drawn(batch)

    with pytest.raises(UserError, match=rf"Wrong\.draws {message}"):
        drive(Wrong(spec=spec), batches(1)[0], Step(), watch)


def test_a_draw_with_the_name_of_a_field_is_refused(spec, tmp_path):
    class Clashes(ByTheHost):
        def draws(self, batch, step):
            return {"target": torch.zeros(batch.size, 3, 16, 16)}

    with pytest.raises(UserError, match=r"Clashes\.draws gives 'target', which is a field of the data, too"):
        trained(tmp_path, Clashes(spec=spec))


def test_the_contracts_hand_the_same_draws_to_steps_that_are_alike():
    contract = "it calls itself replayable only if all steps are alike"

    class Says(ByItself):
        replayable = True

        def __init__(self, *, spec, objective=None):
            super().__init__(spec=spec)

    class Keeps(ByTheHost):
        def __init__(self, *, spec, objective=None):
            super().__init__(spec=spec)

    statuses = {}
    for make in (Says, Keeps):
        outcomes = run_contracts("translator", make, strategies={})
        statuses[make] = {outcome.contract.name: outcome.status for outcome in outcomes}
    assert statuses[Says][contract] == "failed"
    assert statuses[Keeps][contract] == "ok"
    assert statuses[Keeps]["it reads no field that it does not need"] == "ok"
