"""Correlation of positions, and values carried over by it: a few rows of the matrix at a time, so memory is bounded."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize, unfold

BYTES = 4
"""Of a float32, in which correlations are computed whatever the networks compute in."""


def attend(queries: Tensor, keys: Tensor, values: Tensor, temperature: float, chunk: int | None = None) -> Tensor:
    """Return for each query the mean of all values, weighted by softmax over the keys of <query, key> / temperature.

    The matrix of P by Q weights is never held as a whole where `chunk` is smaller than P: only `chunk` of its rows are,
    and where a gradient is wanted they are computed a second time for it. A gradient of that gradient holds them all.
    The result is linear in the values.

    Args:
        queries: (B, P, D).
        keys: (B, Q, D).
        values: (B, Q, V).
        temperature: tau, more than 0.
        chunk: how many queries at a time; None for all.

    Returns:
        (B, P, V), float32 at least.
    """
    exact = torch.promote_types(queries.dtype, torch.float32)
    with torch.autocast(queries.device.type, enabled=False):
        queries, keys, values = queries.to(exact), keys.to(exact), values.to(exact)
        if chunk is None or chunk >= queries.shape[1]:
            return _weights(queries, keys, temperature) @ values
        attended: Tensor = _InPieces.apply(queries, keys, values, temperature, chunk)
        return attended


def _weights(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """Return (B, P, Q), whose rows add up to 1."""
    return (queries @ keys.transpose(1, 2)).div_(temperature).softmax(2)


class _InPieces(torch.autograd.Function):
    """Keeps nothing of the weights for the gradient, which computes each piece of them anew."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, values: Tensor, temperature: float, chunk: int) -> Tensor:
        ctx.save_for_backward(queries, keys, values)
        ctx.temperature, ctx.chunk = temperature, chunk
        pieces = torch.split(queries, chunk, 1)
        return torch.cat([_weights(piece, keys, temperature) @ values for piece in pieces], 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Return the gradients of queries, keys and values; these have gradients again."""
        queries, keys, values = ctx.saved_tensors
        sides = [torch.zeros_like(side) for side in (queries, keys, values)]
        with torch.autocast(queries.device.type, enabled=False):
            for begin in range(0, queries.shape[1], ctx.chunk):
                rows = slice(begin, begin + ctx.chunk)
                gradient, weights = gradients[0][:, rows], _weights(queries[:, rows], keys, ctx.temperature)
                sides[2].baddbmm_(weights.transpose(1, 2), gradient)
                of_weights = gradient @ values.transpose(1, 2)
                of_weights = weights * (of_weights - (weights * of_weights).sum(2, keepdim=True)) / ctx.temperature
                sides[0][:, rows] = of_weights @ keys
                sides[1].baddbmm_(of_weights.transpose(1, 2), queries[:, rows])
        return sides[0], sides[1], sides[2], None, None


def positions(features: Tensor, kernel: int) -> Tensor:
    """Return what each position and its neighbours have, centred over the channels and of length 1: (B, h*w, C*k*k).

    Args:
        features: (B, C, h, w); beyond the border are zeros.
        kernel: k, odd: how many neighbours a side.
    """
    with torch.autocast(features.device.type, enabled=False):
        exact = features.to(torch.promote_types(features.dtype, torch.float32))
        around = unfold(exact, kernel, padding=kernel // 2).transpose(1, 2)
        return normalize(around - around.mean(2, keepdim=True), dim=2)


def flat(image: Tensor) -> Tensor:
    """Return (B, C, h, w) as values of its positions, (B, h*w, C)."""
    return image.flatten(2).transpose(1, 2)


def unflat(values: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return values of positions (B, h*w, C) as (B, C, h, w); `grid` is (h, w)."""
    return values.transpose(1, 2).reshape(values.shape[0], values.shape[2], *grid)


def matrix_bytes(places: int, chunk: int | None) -> int:
    """Return the bytes of the rows of one sample's matrix of `places` by `places` that are held at a time."""
    return BYTES * places * min(places, chunk or places)
