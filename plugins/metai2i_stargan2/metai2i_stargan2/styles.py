"""Styles between others: towards the mean of a domain, and from one image to the next."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from metai2i_stargan2.mapping import MappingNetwork

DRAWN = 10_000
"""Latents that a mean style is taken over, as published; the same ones every time."""


def mean_styles(mapping: MappingNetwork, latent: int, domain: Tensor) -> Tensor:
    """Return the mean style of each sample's domain, (B, S).

    It is taken anew at each call, for the mapping network moves when a copy is adapted.

    Args:
        mapping: gives styles.
        latent: length of a latent.
        domain: (B,) of each sample.
    """
    latents = torch.randn(DRAWN, latent, generator=torch.Generator().manual_seed(0)).to(domain.device)
    means = {
        number: mapping(latents, torch.full((DRAWN,), number, device=domain.device)).mean(0)
        for number in sorted(set(domain.tolist()))
    }
    return torch.stack([means[number] for number in domain.tolist()])


def side_by_side(images: Sequence[Tensor]) -> Tensor:
    """Return (B, 3, H, N * W) of N times (B, 3, H, W), from left to right."""
    return torch.cat(list(images), -1)
