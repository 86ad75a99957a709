"""Checkpoints: every tensor comes back bit for bit, and a damaged file is told."""

from __future__ import annotations

import copy
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from metai2i import UserError
from metai2i.training.checkpoint import (
    digest,
    load,
    load_state,
    optimizer_tensors,
    part,
    prefixed,
    restore_optimizer,
    save,
)


def test_every_kind_of_tensor_comes_back_bit_for_bit(tmp_path):
    base = torch.arange(12.0).reshape(3, 4)
    tensors = {
        "bf16": torch.randn(3, 2).bfloat16(),
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 3),
        "bool": torch.tensor([True, False]),
        "odd": torch.tensor([float("nan"), float("-inf"), -0.0]),
        "base": base,
        "same": base,
        "row": base[1],
        "transposed": base.T,
        "learned": nn.Parameter(torch.ones(2)),
    }
    save(tmp_path / "x.safetensors", tensors, {"step": 3, "seconds": 0.1})
    loaded, state = load(tmp_path / "x.safetensors")
    assert state == {"step": 3, "seconds": 0.1}
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        torch.testing.assert_close(loaded[name], tensor.detach(), rtol=0, atol=0, equal_nan=True)
    assert loaded["odd"].signbit().tolist() == tensors["odd"].signbit().tolist()


def test_a_view_does_not_drag_its_base_along(tmp_path):
    save(tmp_path / "x.safetensors", {"row": torch.zeros(1000, 100)[3]}, {})
    assert (tmp_path / "x.safetensors").stat().st_size < 1000


def damage(path, how):
    if how == "missing":
        return
    save(path, {"a": torch.zeros(1000)}, {"step": 1})
    content = path.read_bytes()
    if how == "foreign":
        save_file({"a": torch.zeros(3)}, path)
    else:
        path.write_bytes(
            {"cut short": content[:-100], "empty": b"", "garbage": b"\x07" * 500, "no header": content[9:]}[how]
        )


@pytest.mark.parametrize("how", ["missing", "cut short", "empty", "garbage", "no header", "foreign"])
def test_a_damaged_checkpoint_is_named_with_what_to_do(tmp_path, how):
    path = tmp_path / "stage" / "x.safetensors"
    path.parent.mkdir()
    damage(path, how)
    with pytest.raises(UserError, match="cannot read this checkpoint") as caught:
        load(path)
    assert caught.value.where == path
    assert str(path.parent) in str(caught.value.hint)


def flipped(path, at: int):
    content = bytearray(path.read_bytes())
    content[at] ^= 0x40
    path.write_bytes(bytes(content))


def test_a_flipped_bit_is_seen(tmp_path):
    path = tmp_path / "x.safetensors"
    save(path, {"a": torch.zeros(1000), "b": torch.arange(9)}, {"step": 1})
    whole = path.read_bytes()
    for at in (-1, -41, len(whole) // 2):
        path.write_bytes(whole)
        flipped(path, at)
        with pytest.raises(UserError, match="it was changed or damaged after it was written"):
            load(path)
        assert load(path, check=False)[1] == {"step": 1}


def test_another_state_beside_the_same_tensors_is_seen(tmp_path):
    path = tmp_path / "x.safetensors"
    save(path, {"a": torch.zeros(3)}, {"step": 1})
    path.write_bytes(path.read_bytes().replace(b'\\"step\\": 1', b'\\"step\\": 2'))
    assert load_state(path)["step"] == 2
    with pytest.raises(UserError, match="it was changed or damaged"):
        load(path)


def test_files_of_earlier_versions_which_have_no_digest_are_read(tmp_path):
    save_file({"a": torch.ones(3)}, tmp_path / "x.safetensors", metadata={"state": '{"step": 3}'})
    tensors, state = load(tmp_path / "x.safetensors")
    assert (tensors["a"].tolist(), state) == ([1, 1, 1], {"step": 3})


def test_a_torch_whose_version_nobody_can_parse_reads_them_too(tmp_path, monkeypatch):
    save(tmp_path / "x.safetensors", {"a": torch.randn(3).bfloat16()}, {"step": 3})
    before = load(tmp_path / "x.safetensors")
    for version in ("99.0", "unknown"):
        monkeypatch.setattr(torch, "__version__", version)
        tensors, state = load(tmp_path / "x.safetensors")
        assert torch.equal(tensors["a"], before[0]["a"])
        assert state == {"step": 3}


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_checkpoint_that_the_system_does_not_take_leaves_the_old_one(tmp_path):
    path = tmp_path / "x.safetensors"
    save(path, {"a": torch.zeros(3)}, {"step": 1})
    with files_of_at_most(1000), pytest.raises(UserError, match="cannot write: File too large"):
        save(path, {"a": torch.ones(100_000)}, {"step": 2})
    assert load(path)[1] == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_called_so(tmp_path, monkeypatch):
    from metai2i.training import checkpoint

    def full(*_, **__):
        raise checkpoint.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(UserError, match="the disk is full"):
        save(tmp_path / "x.safetensors", {}, {})


def test_prefixes_are_put_on_and_taken_off():
    tensors = {"a.b": torch.zeros(1), "c": torch.ones(1)}
    both = {**prefixed("model", tensors), **prefixed("model2", {"d": torch.ones(2)})}
    assert part("model", both) == tensors


@pytest.mark.parametrize(
    "make",
    [
        lambda m: torch.optim.Adam(m.parameters(), lr=1e-2),
        lambda m: torch.optim.SGD(m.parameters(), lr=1e-2),
        lambda m: torch.optim.SGD(m.parameters(), lr=1e-2, momentum=0.9),
    ],
)
def test_an_optimiser_goes_on_as_if_nothing_had_been(tmp_path, make):
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = make(model)

    def steps(model, optimizer, count):
        for _ in range(count):
            optimizer.zero_grad()
            model(torch.ones(1, 3)).square().sum().backward()
            optimizer.step()

    steps(model, optimizer, 3)
    save(tmp_path / "x.safetensors", optimizer_tensors(optimizer), {})
    other = copy.deepcopy(model)
    restored = make(other)
    restore_optimizer(restored, load(tmp_path / "x.safetensors")[0])
    steps(model, optimizer, 3)
    steps(other, restored, 3)
    assert digest(other) == digest(model)


def test_the_rates_are_those_of_the_new_optimiser():
    model = nn.Linear(3, 2)
    old, new = (torch.optim.Adam(model.parameters(), lr=lr) for lr in (1e-2, 1e-3))
    model(torch.ones(1, 3)).sum().backward()
    old.step()
    restore_optimizer(new, optimizer_tensors(old))
    assert new.param_groups[0]["lr"] == 1e-3
    assert len(new.state) == 2


class Everything(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, dtype=torch.bfloat16))
        self.register_buffer("scalar", torch.zeros(()))
        self.register_buffer("unsaved", torch.zeros(2), persistent=False)


@pytest.mark.parametrize("name", ["weight", "scalar", "unsaved"])
def test_a_digest_changes_with_the_last_bit_of_anything(name):
    module = Everything()
    assert digest(module) == digest(copy.deepcopy(module))
    before = digest(module)
    tensor = getattr(module, name).detach()
    tensor.view(-1)[-1] = -0.0
    assert digest(module) != before


def test_state_of_an_optimiser_that_no_file_can_hold_is_told():
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    optimizer.state[weight]["history"] = [1, 2]
    with pytest.raises(UserError, match="the optimiser SGD keeps list as 'history', which no checkpoint can hold"):
        optimizer_tensors(optimizer)


class Fading(torch.optim.Optimizer):
    """Descent whose rate fades, by a number in its state."""

    def __init__(self, parameters):
        super().__init__(parameters, {"lr": 0.1})

    @torch.no_grad()
    def step(self, closure=None):
        for parameter in self.param_groups[0]["params"]:
            state = self.state[parameter]
            state["factor"], state["steps"] = 0.9 * state.get("factor", 1.0), state.get("steps", 0) + 1
            parameter.sub_(0.1 * state["factor"] * parameter.grad)


def test_numbers_of_an_optimiser_come_back_to_all_their_digits_and_as_numbers():
    def trained(cut: int | None):
        parameter = nn.Parameter(torch.linspace(-2, 2, 50))
        optimizer = Fading([parameter])
        for step in range(20):
            if step == cut:
                kept = optimizer_tensors(optimizer)
                optimizer = Fading([parameter])
                restore_optimizer(optimizer, kept)
            parameter.grad = parameter.detach() ** 3
            optimizer.step()
        return parameter.detach(), optimizer.state[parameter]

    (whole, state), (resumed, resumed_state) = trained(None), trained(7)
    assert torch.equal(whole, resumed)
    assert state == resumed_state
    assert [type(value) for value in resumed_state.values()] == [float, int]
