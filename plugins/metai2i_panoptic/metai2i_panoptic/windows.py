"""What lies around each pixel: shifted views of a tensor, and which of them show the pixel's own instance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad


def taps(tensor: Tensor, kernel: int, stride: int = 1) -> Iterator[Tensor]:
    """Yield the k*k views (..., h, w) of a tensor (..., H, W), row by row; beyond the border are zeros.

    The view of tap (i, j) holds at each output position what lies i - k//2 rows below and j - k//2 columns right of
    its middle. Output position (y, x) has its middle at (stride*y, stride*x), so h is H/stride, rounded up.

    Args:
        tensor: of any type; whole numbers stay exact.
        kernel: k, odd.
        stride: from one middle to the next.
    """
    height, width = tensor.shape[-2:]
    around = pad(tensor, [kernel // 2] * 4)
    for i in range(kernel):
        for j in range(kernel):
            yield around[..., i : i + height : stride, j : j + width : stride]


def own_instance(ids: Tensor, kernel: int, stride: int = 1) -> list[Tensor]:
    """Return k*k masks (B, 1, h, w) bool: M_j = 1 where the tap shows the instance of the window's middle.

    Beyond the border is no instance, whatever numbers the ids are.

    Args:
        ids: (B, H, W) whole numbers.
        kernel: k, odd.
        stride: from one middle to the next.
    """
    middle = ids[:, None, ::stride, ::stride]
    return [
        (tap == middle) & inside
        for tap, inside in zip(taps(ids[:, None], kernel, stride), inside_image(ids, kernel, stride), strict=True)
    ]


def inside_image(ids: Tensor, kernel: int, stride: int = 1) -> list[Tensor]:
    """Return k*k masks (1, 1, h, w) bool: 1 where the tap lies within the image. Arguments as in `own_instance`."""
    everywhere = torch.ones((1, 1, *ids.shape[-2:]), dtype=torch.bool, device=ids.device)
    return list(taps(everywhere, kernel, stride))


def ratio(masks: Sequence[Tensor], dtype: torch.dtype = torch.float32) -> Tensor:
    """Return sum(1) / sum(M) of each window, (B, 1, h, w), and 0 where the window shows nothing at all.

    sum(1) counts the whole window, also what lies beyond the border. It is divided in single precision at least, and
    comes so.

    Args:
        masks: M, for each of the k*k taps of the window (B or 1, 1, h, w) bool.
        dtype: of the features.
    """
    exact = torch.promote_types(dtype, torch.float32)
    count = torch.zeros(masks[0].shape, dtype=exact, device=masks[0].device)
    for mask in masks:
        count = count + mask
    return torch.where(count > 0, len(masks) / count.clamp_min(1), 0.0)
