"""Steps that are recorded and replayed give the numbers of steps that are run. On a CPU the recording is the step
itself, on tensors of its own; on a GPU it is a CUDA graph."""

from __future__ import annotations

import copy

import pytest
import torch
from toys import Toy, ToySource, ToyTask

from metai2i import Adaptation, Batch, Objective, Randomness, Step, TaskSpec, UserError
from metai2i.data.sampling import Sampling
from metai2i.meta import inner_loop
from metai2i.meta.inner_loop import adapted
from metai2i.recipe.schema import Pretrain
from metai2i.stages.pretrain import pretrain
from metai2i.training.checkpoint import digest
from metai2i.training.cuda_graphs import MOST_RECORDINGS, InnerLoops, RecordedStep, replays, state_tensors
from metai2i.training.driving import descend, drive
from metai2i.training.optimizers import plain_optimizer
from metai2i.training.stage_context import StageContext

CPU = torch.device("cpu")
ADAM = Adaptation(iterations=4, batch=3, lr=0.05)


def batches(count: int) -> list[Batch]:
    return [ToyTask(f"b{n}", 4).load(range(4)) for n in range(count)]


def adam(toy: Toy) -> torch.optim.Optimizer:
    return plain_optimizer(toy, Pretrain(lr=0.05))


@pytest.fixture
def recording(monkeypatch):
    """Inner loops are recorded, as on a GPU."""
    monkeypatch.setattr(inner_loop, "replays", lambda translator, device: True)


def test_a_recorded_step_gives_the_numbers_of_the_step_itself(toy):
    run, recorded = toy, copy.deepcopy(toy)
    update = descend(run, adam(run))
    step = RecordedStep(recorded, adam(recorded), batches(1)[0], Step())
    for batch in batches(3):
        losses, again = drive(run, batch, Step(), update), step(batch)
        assert {name: float(value) for name, value in losses.items()} == {n: float(v) for n, v in again.items()}
    step.check()
    assert digest(run) == digest(recorded)


def test_recording_a_step_changes_nothing(toy):
    before, optimizer = digest(toy), adam(toy)
    RecordedStep(toy, optimizer, batches(1)[0], Step())
    assert digest(toy) == before
    assert not any(tensor.any() for tensor in state_tensors(optimizer).values())


def test_numbers_that_are_not_finite_are_noticed_and_named(toy):
    step = RecordedStep(toy, adam(toy), batches(1)[0], Step())
    step(batches(1)[0].replace(target=torch.full((4, 3, 16, 16), torch.nan)))
    with pytest.raises(UserError, match=r"discriminator/real.*not finite"):
        step.check()


@pytest.mark.parametrize("adaptation", [ADAM, Adaptation(iterations=4, batch=3, lr=0.05, optimizer="sgd")])
def test_an_inner_loop_that_comes_again_adapts_to_the_same_bits(toy, recording, adaptation):
    scenes = [ToyTask(name, 5).load(range(5)) for name in "abca"]
    through = [digest(adapted(toy, scene, adaptation, Step(Randomness((1,))))) for scene in scenes]
    loops = InnerLoops.of(toy)._loops
    assert len(loops) == 1
    assert through[0] == through[3]  # the first ran, the last was replayed
    assert len(set(through)) == 3


def test_a_recorded_inner_loop_begins_at_the_model_as_it_is_now(toy, recording, monkeypatch):
    scene = ToyTask("a", 5).load(range(5))
    for _ in range(2):
        adapted(toy, scene, ADAM, Step())
    with torch.no_grad():
        toy.generator.weight.add_(0.5)
        toy.seen += 3
    before = digest(toy)
    replayed = adapted(toy, scene, ADAM, Step())
    assert digest(toy) == before
    monkeypatch.setattr(inner_loop, "replays", lambda translator, device: False)
    assert digest(replayed) == digest(adapted(toy, scene, ADAM, Step()))


def test_copies_of_a_model_share_its_recordings_and_not_its_numbers(toy, recording):
    scene, other = ToyTask("a", 5).load(range(5)), copy.deepcopy(toy)
    adapted(toy, scene, ADAM, Step())
    with torch.no_grad():
        other.generator.weight.add_(0.5)
    first, second = adapted(toy, scene, ADAM, Step()), adapted(other, scene, ADAM, Step())
    assert InnerLoops.of(copy.deepcopy(toy)) is InnerLoops.of(toy)
    assert len(InnerLoops.of(toy)._loops) == 1
    assert digest(first) != digest(second)


def test_what_nobody_trains_stays_as_it_is_when_a_copy_goes_through_the_recording(toy, recording):
    toy.register_parameter("mean", torch.nn.Parameter(torch.zeros(2), requires_grad=False))
    scene = ToyTask("a", 5).load(range(5))
    for _ in range(2):
        adapted(toy, scene, ADAM, Step())
    other = copy.deepcopy(toy)
    other.mean.data.fill_(7)
    assert adapted(other, scene, ADAM, Step()).mean.tolist() == [7, 7]
    assert toy.mean.tolist() == [0, 0]


def test_an_adapted_model_is_not_touched_by_the_next_scene(toy, recording):
    scenes = [ToyTask(name, 5).load(range(5)) for name in "aab"]
    _, kept, _ = adapted(toy, scenes[0], ADAM, Step()), adapted(toy, scenes[1], ADAM, Step()), None
    before = digest(kept)
    adapted(toy, scenes[2], ADAM, Step())
    assert digest(kept) == before


def test_frozen_players_stay_frozen_in_a_recording(toy, recording):
    still = Adaptation(iterations=3, batch=3, lr=0.05, freeze=("discriminator",))
    scene = ToyTask("a", 5).load(range(5))
    adapted(toy, scene, still, Step())
    replayed = adapted(toy, scene, still, Step())
    assert torch.equal(replayed.discriminator.weight, toy.discriminator.weight)
    assert not torch.equal(replayed.generator.weight, toy.generator.weight)


def test_only_so_many_recordings_are_kept(toy, recording):
    for rate in range(1, MOST_RECORDINGS + 4):
        for _ in range(2):
            adapted(toy, ToyTask("a", 5).load(range(5)), Adaptation(iterations=1, batch=3, lr=rate / 100), Step())
    assert len(InnerLoops.of(toy)._loops) == MOST_RECORDINGS


def test_nothing_is_replayed_on_a_cpu(toy):
    assert not replays(toy, CPU)


@pytest.mark.parametrize("anneal", [False, True])
def test_plain_training_through_a_recording_gives_the_same_bits(toy, monkeypatch, tmp_path, anneal):
    def trained(name: str) -> str:
        copied = copy.deepcopy(toy)
        settings = Pretrain(iterations=60, batch=3, lr=0.02, anneal=anneal)
        place = StageContext(tmp_path / name, "pretrain", CPU)
        pretrain(place, copied, ToySource().tasks("train"), settings, Sampling(), Randomness((0,)))
        return digest(copied)

    run = trained("run")
    monkeypatch.setattr("metai2i.stages.pretrain.replays", lambda translator, device: True)
    assert trained("recorded") == run


def built(name: str) -> tuple[object, Batch, Batch]:
    """A small translator of a plugin on a GPU, and pairs for it, in double precision: in single, rounding alone turns
    the first steps of Adam around."""
    from metai2i.registry import Registry

    spec = TaskSpec(structure_channels=4, size=(64, 64))
    small = {"pix2pix": {"width": 8}, "pg2": {"width": 8, "widest": 32, "downs": 4, "d_width": 8}}[name]
    objective = Objective(l1=10, adversarial=0.2, perceptual=0)
    with Randomness((0,)).scope():
        gp = Registry().get("translator", name)(spec=spec, objective=objective, **small).double().cuda()
    tasks = [ToyTask(each, 5, (64, 64), 4).load(range(5)).map(torch.Tensor.double).to("cuda") for each in "ab"]
    return gp, *(task.replace(reference=task["target"].flip(0)) for task in tasks)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["pix2pix", "pg2"])
def test_on_a_gpu_a_graph_adapts_as_the_steps_do(name, monkeypatch):
    gp, first, second = built(name)
    before = digest(gp)
    inner = Adaptation(iterations=5, lr=1e-3)
    adapted(gp, first, inner, Step())
    replayed = adapted(gp, second, inner, Step())
    assert len(InnerLoops.of(gp)._loops) == 1
    assert digest(gp) == before
    monkeypatch.setattr(inner_loop, "replays", lambda translator, device: False)
    run = adapted(gp, second, inner, Step())
    for left, other in zip(replayed.parameters(), run.parameters(), strict=True):
        torch.testing.assert_close(left, other, rtol=1e-4, atol=1e-6)


@pytest.mark.gpu
def test_on_a_gpu_plain_training_by_a_graph_anneals_and_arrives_where_steps_do(toy, monkeypatch, tmp_path):
    def trained(name: str) -> Toy:
        copied = copy.deepcopy(toy).cuda()
        copied.replayable = True
        settings = Pretrain(iterations=60, batch=3, lr=0.02, anneal=True)
        place = StageContext(tmp_path / name, "pretrain", torch.device("cuda"))
        pretrain(place, copied, ToySource().tasks("train"), settings, Sampling(), Randomness((0,)))
        return copied

    recorded = trained("recorded")
    monkeypatch.setattr("metai2i.stages.pretrain.replays", lambda translator, device: False)
    for left, other in zip(recorded.parameters(), trained("run").parameters(), strict=True):
        torch.testing.assert_close(left, other, rtol=1e-4, atol=1e-4)
