"""`Attention`: each position adds a mean of what all others have (Zhang et al., SAGAN, 2019; as BigGAN pools it)."""

from __future__ import annotations

import torch
from metai2i_spade import spectral_conv
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from metai2i_cocosnet.correlation import attend, flat, unflat


class Attention(nn.Module):
    """Self-attention whose keys and values are pooled by 2, with a gain that begins at 0.

    Args:
        features: C.
        chunk: how many positions at a time; None for all.
    """

    def __init__(self, features: int, chunk: int | None = None) -> None:
        super().__init__()
        few, half = max(1, features // 8), max(1, features // 2)
        self.chunk = chunk
        self.query, self.key = (spectral_conv(features, few, 1, bias=False) for _ in range(2))
        self.value, self.out = (
            spectral_conv(features, half, 1, bias=False),
            spectral_conv(half, features, 1, bias=False),
        )
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, features: Tensor, guide: object = None) -> Tensor:
        """Return features (B, C, h, w), h and w at least 2; the guide is not looked at."""
        grid = (features.shape[-2], features.shape[-1])
        keys, values = (flat(max_pool2d(conv(features), 2)) for conv in (self.key, self.value))
        seen = attend(flat(self.query(features)), keys, values, 1.0, self.chunk)
        changed: Tensor = features + self.gain * self.out(unflat(seen, grid).to(features.dtype))
        return changed
