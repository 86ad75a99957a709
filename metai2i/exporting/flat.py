"""Nested settings as dotted keys."""

from __future__ import annotations

from collections.abc import Mapping


def flat(values: Mapping[str, object], above: str = "") -> dict[str, object]:
    """Return the leaves of nested mappings by their dotted keys.

    >>> flat({"adapt": {"lr": 0.1}, "seed": 0})
    {'adapt.lr': 0.1, 'seed': 0}
    """
    leaves: dict[str, object] = {}
    for key, value in values.items():
        name = f"{above}{key}"
        leaves |= flat(value, f"{name}.") if isinstance(value, Mapping) and value else {name: value}
    return leaves
