"""Randomness by address: every random draw has a key such as (seed, stage, step, index), and nothing else decides it.

Killing a run and resuming it, running tasks in another order or in another process gives the same draws, because no
draw depends on how many came before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Randomness:
    """An address from which generators are made.

    >>> run = Randomness((0,))
    >>> a = torch.rand(2, generator=run.at("pretrain", 7).generator())
    >>> b = torch.rand(2, generator=run.at("pretrain").at(7).generator())
    >>> bool((a == b).all())
    True
    """

    key: tuple[int | str, ...] = (0,)

    def at(self, *more: int | str) -> Randomness:
        """Return the address further down."""
        return Randomness((*self.key, *more))

    def seed(self) -> int:
        """Return a seed in [0, 2**63), the same on every machine."""
        digest = hashlib.blake2b(repr(self.key).encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") >> 1

    def generator(self) -> torch.Generator:
        """Yield a fresh CPU generator, seeded by the address."""
        return torch.Generator().manual_seed(self.seed())

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Seed torch's global generators by the address within it (dropout draws from them); after it they are as they
        were.
        """
        devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(self.seed())
            yield
