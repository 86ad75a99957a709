"""Where a recipe names players: which there are is known only when the translator is built."""

from __future__ import annotations

from collections.abc import Mapping

from metai2i.errors import Location
from metai2i.recipe.positions import Node
from metai2i.recipe.schema import Row

PLAYERS = (
    ("pretrain", "players"),
    ("pretrain", "average", "players"),
    ("metatrain", "average", "players"),
    ("adapt", "freeze"),
)
"""The keys under which players are named."""


def player_places(nodes: Mapping[str, Node], rows: Mapping[str, Row]) -> dict[str, dict[str, Location]]:
    """Return where players are named, by row and key (`adapt.freeze`); of the keys that are written alone.

    Args:
        nodes: the rows as written.
        rows: those that are right.
    """
    return {
        name: {".".join(path): nodes[name].locate(path) for path in PLAYERS if _written(nodes[name], path)}
        for name in rows
    }


def _written(node: Node | None, path: tuple[str, ...]) -> bool:
    for key in path:
        node = node.get(key) if node is not None else None
    return node is not None
