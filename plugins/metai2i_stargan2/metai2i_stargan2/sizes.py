"""`Widths`: how many features StarGAN v2 has at which size."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from metai2i import UserError

BUDGET = 2**14
"""The published networks begin with this many features divided by the side of an image: 64 at 256 pixels."""


@dataclass(frozen=True)
class Widths:
    """Features at the size of the image and at each half of it.

    Args:
        side: the smaller side of an image, in pixels.
        first: features at full size; the published number when None.
        widest: the most that there are.

    Raises:
        UserError: when the side cannot be halved to 4 pixels.
    """

    side: int
    first: int
    widest: int

    @classmethod
    def of(cls, size: tuple[int, int], first: int | None, widest: int) -> Widths:
        """Return those for images of `size`, H x W."""
        height, width = size
        if height != width or height & (height - 1) or height < 32:
            raise UserError(
                f"stargan2 needs square images of a power of 2 from 32 pixels a side on, got {height}x{width}",
                hint="set tasks.size to [32, 32], [64, 64], [128, 128] or [256, 256]",
            )
        return cls(height, min(first or BUDGET // height, widest), widest)

    @property
    def generator_halvings(self) -> int:
        """Return how often the generator halves an image: to 16 pixels."""
        return self.side.bit_length() - 1 - 4

    @property
    def critic_halvings(self) -> int:
        """Return how often discriminator and style encoder halve an image: to 4 pixels."""
        return self.side.bit_length() - 1 - 2

    def steps(self, halvings: int) -> tuple[tuple[int, int], ...]:
        """Return the features before and after each halving: twice as many each time, up to the widest."""
        return tuple(pairwise(min(self.first * 2**step, self.widest) for step in range(halvings + 1)))
