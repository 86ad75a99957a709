"""How the numbers of an axis are written: each in full, with as few digits as tell it from its neighbours.

What matplotlib writes otherwise, a common factor or offset at the end of the axis, stands where a panel has its title.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import Formatter

from metai2i.report.wording import MINUS

DIGITS_OF_A_FLOAT = 15
LETTER = 0.078
"""Inches that a digit takes."""
SHORT = 5
"""Letters of a number for which every plot has room."""


class FullNumbers(Formatter):
    """Writes the numbers of an axis."""

    def __call__(self, value: float, pos: int | None = None) -> str:
        """Return a number alone."""
        return numbers([value])[0]

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Return the numbers of an axis."""
        return numbers(values)


def numbers(values: Sequence[float]) -> list[str]:
    """Return numbers in words that differ where the numbers do; -0 is 0.

    >>> numbers([0.0, 5e-6, 1e-5])
    ['0', '5e-6', '1e-5']
    >>> numbers([1.00002, 1.00004])
    ['1.00002', '1.00004']
    >>> numbers([-0.5, 1200000.0])
    ['−0.5', '1.2e6']
    """
    different = len(set(values))
    for digits in range(4, DIGITS_OF_A_FLOAT):
        words = [_short(f"{value + 0.0:.{digits}g}") for value in values]
        if len(set(words)) == different:
            return words
    return [_short(f"{value:.{DIGITS_OF_A_FLOAT}g}") for value in values]


def room_for_numbers(axes: Axes) -> float:
    """Return the inches that the numbers of an upright axis need beyond those that every plot has room for."""
    low, high = sorted(axes.get_ylim())
    shown = [tick for tick in axes.get_yticks() if low <= tick <= high]
    words = axes.yaxis.get_major_formatter().format_ticks(shown)
    return LETTER * max(0, max(map(len, words), default=0) - SHORT)


def _short(text: str) -> str:
    """Return a number without what an exponent can do without."""
    mantissa, mark, exponent = text.partition("e")
    return (f"{mantissa}e{int(exponent)}" if mark else mantissa).replace("-", MINUS)
