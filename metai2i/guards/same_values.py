"""Whether two tensors are the same, NaN included."""

from __future__ import annotations

import torch
from torch import Tensor


def same_values(first: Tensor | None, second: Tensor | None) -> bool:
    """Return whether two tensors have the same shape, dtype and values, or neither is there; a NaN is that NaN."""
    if first is None or second is None:
        return first is second
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    second = second.to(first.device)
    return torch.equal(first, second) or torch.equal(_bits(first), _bits(second))


def _bits(tensor: Tensor) -> Tensor:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)
