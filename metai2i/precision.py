"""The precision in which networks compute: float32, or bfloat16 by autocast."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import Tensor

Precision = Literal["fp32", "bf16"]
"""How forward passes are computed. Weights, losses, gradients of weights and images are float32 in both."""


def computing_in(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return the context of a forward pass: autocast for bf16, and nothing for fp32.

    Casts of weights are not kept for their next use, which may need a graph where the first one had none.
    """
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)


def at_least_single(tensor: Tensor) -> Tensor:
    """Return a tensor of half precision as float32; any other as it is."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor
