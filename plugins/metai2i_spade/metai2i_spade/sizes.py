"""Which sizes SPADE's generator can make."""

from __future__ import annotations

from metai2i import UserError

MOST, GRID, SMALLEST_GRID = 5, 4, 2
"""Doublings and positions a side of the grid it begins with, unless a recipe says otherwise; the least positions."""


def doublings_of(size: tuple[int, int], wanted: int | None) -> int:
    """Return how many times the generator doubles the resolution: as wanted, or else as often as `GRID` allows.

    Args:
        size: (H, W) of the images, in pixels.

    Raises:
        UserError: with the nearest sizes that will do.
    """
    doublings, smallest = wanted, SMALLEST_GRID
    if wanted is None:
        fitting = [n for n in range(1, MOST + 1) if fits(size, n, GRID)]
        doublings, smallest = (fitting or [1])[-1], GRID
    assert doublings is not None
    if not fits(size, doublings, smallest):
        times = "once" if doublings == 1 else f"{doublings} times"
        raise UserError(
            f"spade: size {size[0]}x{size[1]} cannot be halved {times} to {smallest} pixels a side or more",
            hint=f"{nearest(size, doublings, smallest)}; or {'set' if wanted is None else 'leave out'} ups",
        )
    return doublings


def fits(size: tuple[int, int], doublings: int, smallest: int) -> bool:
    """Return whether both sides can be halved so often without a remainder, and leave so many pixels."""
    return all(side % 2**doublings == 0 and side >> doublings >= smallest for side in size)


def nearest(size: tuple[int, int], doublings: int, smallest: int) -> str:
    """Return the nearest sizes that fit, in words."""
    unit = 2**doublings
    below = [max(smallest, side // unit) * unit for side in size]
    above = [max(smallest, -(-side // unit)) * unit for side in size]
    sizes = list(dict.fromkeys(f"{height}x{width}" for height, width in (below, above)))
    return f"the nearest size{' is' if len(sizes) == 1 else 's are'} {' and '.join(sizes)}"
