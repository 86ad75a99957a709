"""`--device auto|cpu|cuda`."""

import os

import pytest
import torch

from metai2i import UserError
from metai2i.device import choose_device, keep_freed_memory


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
