"""`--device auto|cpu|cuda`."""

import os

import pytest
import torch

from metai2i import UserError
from metai2i.precision import at_least_single, computing_in
from metai2i.training.device import choose_device, keep_freed_memory


@pytest.mark.parametrize(("there", "auto"), [(True, "cuda"), (False, "cpu")])
def test_auto_is_the_gpu_where_there_is_one(monkeypatch, there, auto):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert choose_device("auto") == torch.device(auto)
    assert choose_device("cpu") == torch.device("cpu")


def test_a_gpu_that_is_not_there_is_told_with_what_to_use_instead(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"no CUDA device.*--device auto or --device cpu"):
        choose_device("cuda")


def test_the_users_own_settings_of_the_allocator_are_left_alone(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda _: pytest.fail("told the C library"))
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    assert not keep_freed_memory()


def test_a_c_library_that_cannot_be_told_is_left_alone(monkeypatch):
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert not keep_freed_memory()


def test_networks_compute_in_the_precision_that_is_asked_for():
    network, images = torch.nn.Conv2d(3, 4, 3), torch.rand(1, 3, 8, 8)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with computing_in(precision, torch.device("cpu")):
            assert network(images).dtype == dtype
        assert network(images).dtype == torch.float32
    assert network.weight.dtype == torch.float32


def test_weights_used_without_a_graph_first_have_a_gradient_later():
    network, images = torch.nn.Conv2d(3, 4, 3), torch.rand(1, 3, 8, 8)
    with computing_in("bf16", torch.device("cpu")):
        with torch.no_grad():
            network(images)
        loss = network(images).float().sum()
    (gradient,) = torch.autograd.grad(loss, network.weight)
    assert gradient.dtype == torch.float32
    assert gradient.any()


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_only_half_precision_is_widened(dtype, expected):
    assert at_least_single(torch.ones(2, dtype=dtype)).dtype == expected
