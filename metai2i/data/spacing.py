"""Evenly spaced choices: of many samples a few, the same at every call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def evenly_spaced(total: int, most: int) -> list[int]:
    """Return at most `most` of the places 0..total-1, evenly spaced, the first among them.

    >>> evenly_spaced(6, 3), evenly_spaced(2, 3)
    ([0, 2, 4], [0, 1])
    """
    count = min(total, most)
    return [i * total // count for i in range(count)]


def evenly_chosen(items: Sequence[T], most: int | None) -> Sequence[T]:
    """Return at most `most` of the items, evenly spaced; all of them when None.

    >>> evenly_chosen("abcdef", 3), evenly_chosen("abc", None)
    (['a', 'c', 'e'], 'abc')
    """
    if most is None or most >= len(items):
        return items
    return [items[i] for i in evenly_spaced(len(items), most)]
