"""`--device auto|cpu|cuda`."""

import pytest
import torch

from metai2i import UserError
from metai2i.device import choose_device


@pytest.mark.parametrize(("there", "auto"), [(True, "cuda"), (False, "cpu")])
def test_auto_is_the_gpu_where_there_is_one(monkeypatch, there, auto):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert choose_device("auto") == torch.device(auto)
    assert choose_device("cpu") == torch.device("cpu")


def test_a_gpu_that_is_not_there_is_told_with_what_to_use_instead(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"no CUDA device.*--device auto or --device cpu"):
        choose_device("cuda")
