"""Which sizes PG2's networks can take."""

from __future__ import annotations

from metai2i import UserError

SHALLOWEST, DEEPEST = 3, 5
"""How many times the resolution is halved at least and at most, unless a recipe says how often."""
INNERMOST = 4
"""Pixels a side that are left at least then: normalising over fewer positions leaves little of what they say."""


def depth(size: tuple[int, int], wanted: int | None) -> int:
    """Return how many times a generator halves the resolution: as wanted, or else as often as `INNERMOST` allows.

    Args:
        size: (H, W) of the images, in pixels.

    Raises:
        UserError: with the nearest sizes that will do.
    """
    if wanted is None:
        fitting = [downs for downs in range(SHALLOWEST, DEEPEST + 1) if fits(size, downs, INNERMOST)]
        if fitting:
            return fitting[-1]
        downs, innermost, way_out = SHALLOWEST, INNERMOST, "or set downs"
    else:
        downs, innermost, way_out = wanted, 2, "or leave downs out"
        if fits(size, downs, innermost):
            return downs
    raise UserError(
        f"pg2: size {size[0]}x{size[1]} cannot be halved {downs} times to {innermost} pixels a side or more",
        hint=f"{nearest(size, downs, innermost)}; {way_out}",
    )


def fits(size: tuple[int, int], downs: int, innermost: int) -> bool:
    """Return whether both sides can be halved so often without a remainder, and leave so many pixels."""
    return all(side % 2**downs == 0 and side >> downs >= innermost for side in size)


def nearest(size: tuple[int, int], downs: int, innermost: int) -> str:
    """Return the nearest sizes that fit, in words."""
    unit = 2**downs
    below = [max(innermost, side // unit) * unit for side in size]
    above = [max(innermost, -(-side // unit)) * unit for side in size]
    sizes = list(dict.fromkeys(f"{height}x{width}" for height, width in (below, above)))
    return f"the nearest size{' is' if len(sizes) == 1 else 's are'} {' and '.join(sizes)}"


def check_layers(size: tuple[int, int], layers: int) -> None:
    """Refuse a size of which the discriminator of whole images would leave a single row or column.

    Raises:
        UserError: with the number of layers that will do.
    """
    most = min(size).bit_length() - 2
    if layers > most:
        raise UserError(
            f"pg2: size {size[0]}x{size[1]} is too small for d_layers: {layers}", hint=f"d_layers: {most} at the most"
        )
