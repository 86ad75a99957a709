"""The shared loop: interrupted anywhere and resumed, it ends as if it had not been."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from curves import points
from toys import Toy, ToyTask

from metai2i import Randomness, Step, UserError
from metai2i.training import loop
from metai2i.training.checkpoint import digest, load, optimizer_tensors, part, save
from metai2i.training.driving import NonFinite, descend, drive, parameter_groups
from metai2i.training.loop import train
from metai2i.training.stage_context import StageContext

TOTAL = 12


class Interrupted(KeyboardInterrupt):
    pass


class Noisy(Toy):
    """Draws from the global generator in every step, as dropout does."""

    def training_step(self, batch, step):
        for player, losses in super().training_step(batch, step):
            yield player, {name: loss * torch.rand(()) for name, loss in losses.items()}


def work(folder: Path, spec, stop_at: int | None = None, *, total: int = TOTAL):
    """Trains a fresh toy in a folder; returns it with its optimiser."""
    with Randomness((1,)).scope():
        toy = Noisy(spec=spec)
    optimizer = torch.optim.Adam(parameter_groups(toy, 1e-2))
    task = ToyTask("a", 50)

    def one_step(i):
        if i == stop_at:
            raise Interrupted
        batch = task.load([i, i + 1])
        return drive(toy, batch, Step(Randomness((0,)).at(i), i, total), descend(toy, optimizer))

    place = StageContext(folder, "pretrain (1 row)", torch.device("cpu"))
    losses = train(place, {"model": toy}, optimizer, total, one_step)
    return toy, optimizer, losses


@pytest.fixture
def whole(tmp_path, spec):
    return work(tmp_path / "whole", spec)


@pytest.mark.parametrize("save_every", [0.0, 1e9])
@pytest.mark.parametrize("stops", [[1], [7], [TOTAL - 1], [2, 3, 9]])
def test_an_interrupted_stage_resumed_ends_as_it_would_have(tmp_path, spec, whole, monkeypatch, save_every, stops):
    monkeypatch.setattr(loop, "SAVE_EVERY", save_every)
    for stop in stops:
        with pytest.raises(Interrupted):
            work(tmp_path / "parts", spec, stop)
    resumed = work(tmp_path / "parts", spec)
    assert digest(resumed[0]) == digest(whole[0])
    ours, theirs = optimizer_tensors(resumed[1]), optimizer_tensors(whole[1])
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert points(tmp_path / "parts") == points(tmp_path / "whole")
    saved, other = (tmp_path / folder / "model.safetensors" for folder in ("parts", "whole"))
    assert saved.read_bytes() == other.read_bytes()


def test_a_line_of_the_log_has_the_losses_from_before_an_interruption_as_well(tmp_path, spec, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(loop, "LOG_POINTS", 3)
    work(tmp_path / "whole", spec)
    with pytest.raises(Interrupted):
        work(tmp_path / "parts", spec, 6)
    work(tmp_path / "parts", spec)
    assert [step for step, _ in points(tmp_path / "whole")] == [4, 8, 12]
    assert points(tmp_path / "parts") == points(tmp_path / "whole")


def test_no_step_that_is_behind_a_checkpoint_is_done_twice(tmp_path, spec, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)
    with pytest.raises(Interrupted):
        work(tmp_path, spec, 7)
    assert load(tmp_path / "progress.safetensors")[1]["step"] == 7
    resumed, _, _ = work(tmp_path, spec)
    assert int(resumed.seen) == TOTAL


def test_the_result_holds_the_trained_model(tmp_path, spec, whole):
    toy, _, losses = whole
    tensors, state = load(tmp_path / "whole" / "model.safetensors")
    assert state == {"step": TOTAL}
    assert part("model", tensors).keys() == toy.state_dict().keys()
    assert all(torch.equal(tensor, toy.state_dict()[name]) for name, tensor in part("model", tensors).items())
    assert losses["iterations"] == TOTAL
    assert losses["peak_memory_mib"] > 1


def test_seconds_add_up_over_interruptions(tmp_path, spec, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)
    with pytest.raises(Interrupted):
        work(tmp_path, spec, 7)
    before = load(tmp_path / "progress.safetensors")[1]["seconds"]
    assert before > 0
    assert work(tmp_path, spec)[2]["seconds"] >= before - 1e-3


def test_a_stage_of_no_steps_leaves_the_model_as_it_was(tmp_path, spec):
    toy, _, losses = work(tmp_path, spec, total=0)
    assert losses["iterations"] == 0
    assert (tmp_path / "model.safetensors").exists()
    assert int(toy.seen) == 0


@pytest.mark.parametrize("save_every", [0.0, 1e9])
def test_a_loss_that_is_not_finite_names_the_stage_and_what_is_kept(tmp_path, spec, monkeypatch, save_every):
    monkeypatch.setattr(loop, "SAVE_EVERY", save_every)
    toy = Toy(spec=spec)
    optimizer = torch.optim.Adam(parameter_groups(toy, 1e-2))

    def one_step(i):
        if i == 3:
            raise NonFinite("the loss term 'l2' of 'generator' is nan", hint="lower the rate")
        return {}

    with pytest.raises(UserError) as caught:
        train(StageContext(tmp_path, "pretrain (2 rows)", torch.device("cpu")), {"model": toy}, optimizer, 9, one_step)
    assert caught.value.what == "pretrain (2 rows), step 3: the loss term 'l2' of 'generator' is nan"
    assert ("the checkpoint of step 3 is kept" in str(caught.value.hint)) == (save_every == 0)
    assert (tmp_path / "progress.safetensors").exists() == (save_every == 0)
    assert not (tmp_path / "model.safetensors").exists()


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "a bit flipped":
        content[-41] ^= 0x40
    path.write_bytes({"cut short": content[:-50], "emptied": b"", "zeros": bytes(100)}.get(how, content))
    if how == "of another stage":
        tensors, state = load(path)
        save(path, tensors, {**state, "stage": "another"})
    elif how == "a result":
        tensors, _ = load(path)
        save(path, tensors, {"step": 7})


@pytest.mark.parametrize(
    "how", ["a bit flipped", "cut short", "emptied", "zeros", "of another stage", "a result", "whole"]
)
def test_a_checkpoint_that_is_not_what_was_written_counts_as_none(tmp_path, spec, whole, monkeypatch, caplog, how):
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)
    with pytest.raises(Interrupted):
        work(tmp_path / "parts", spec, 7)
    damage(tmp_path / "parts" / "progress.safetensors", how)
    resumed = work(tmp_path / "parts", spec)
    assert digest(resumed[0]) == digest(whole[0])
    assert points(tmp_path / "parts") == points(tmp_path / "whole")
    messages = [message for message in caplog.messages if "starting over at step 0" in message]
    assert len(messages) == (how != "whole")
