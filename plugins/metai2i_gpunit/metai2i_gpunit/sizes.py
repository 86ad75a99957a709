"""`Widths`: how many features GP-UNIT's networks have at which size."""

from __future__ import annotations

from dataclasses import dataclass

from metai2i import UserError

CODE = 8
"""Pixels a side of a content code."""
SHAPE = 16
"""Pixels a side of the mask that a decoder draws of a code."""
SKIPS = (16, 32)
"""Pixels a side of the features that dynamic skips carry over."""
LEAST = 32
"""The smallest images, in pixels a side."""


@dataclass(frozen=True)
class Widths:
    """Features at each size, from the image down to a code. A smaller image has the published network's innermost part.

    Args:
        side: of an image, in pixels.
        width: features at full size of 256 pixels; 64 as published.
    """

    side: int
    width: int

    @classmethod
    def of(cls, size: tuple[int, int], width: int, whose: str) -> Widths:
        """Return those for images of `size`, H x W.

        Raises:
            UserError: when images are not square or cannot be halved to a code.
        """
        height, across = size
        if height != across or height & (height - 1) or height < LEAST:
            raise UserError(
                f"{whose} needs square images of a power of 2 from {LEAST} pixels a side on, got {height}x{across}",
                hint="set tasks.size to [32, 32], [64, 64], [128, 128] or [256, 256]",
            )
        return cls(height, width)

    @property
    def sides(self) -> tuple[int, ...]:
        """Return the sizes from a code's up to the image's, each twice the one before."""
        return tuple(2**power for power in range(CODE.bit_length() - 1, self.side.bit_length()))

    def at(self, side: int) -> int:
        """Return the features of encoders, generator and decoder at a size: 8 times the width up to 16 pixels, and then
        half as many at each doubling."""
        return self.width * max(1, min(8, 128 // side))

    def judged(self, side: int) -> int:
        """Return the features of the discriminator at a size: the width at 256 pixels, up to 8 times as many below."""
        return self.width * max(1, min(8, 256 // side))
