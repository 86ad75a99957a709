"""Outer steps that go towards another model, as gradients which descent with step size 1 turns into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from metai2i.training.driving import add_gradients, parameters_of
from metai2i.translator import Translator


def towards(begin: Translator, end: Translator, share: float) -> dict[str, list[Tensor]]:
    """Return for each player `share * (begin - end)`: a share of the way from one model to another, its sign turned."""
    return {
        player: [
            share * (p - q).detach()
            for p, q in zip(parameters_of(begin, [player]), parameters_of(end, [player]), strict=True)
        ]
        for player in begin.players()
    }


def add_displacements(gp: Translator, displacements: Mapping[str, Sequence[Tensor]]) -> None:
    """Add displacements, as `towards` gives them, to the gradients of the players.

    A player that goes nowhere gets none: what does not train by design is no sign of a network that has died.
    """
    for player, tensors in displacements.items():
        if any(bool(part.any()) for part in tensors):
            add_gradients(parameters_of(gp, [player]), tensors)
