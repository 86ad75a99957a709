"""Averages of weights over training, kept by the host: no translator has a second network of its own.

After each step `average = decay * average + (1 - decay) * weight`. A finished stage holds the averages as the model, so
that meta-training, adapting and evaluating all start from them; the weights that were trained are kept beside it, for a
continuation of the same training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from metai2i.training.named_players import check_players
from metai2i.translator import Translator


class Averages(nn.Module):
    """The averages of some players' parameters.

    Buffers are not averaged: a copy in which statistics of a batch are one step old is what torch's own averaging has,
    too.

    Args:
        translator: whose players they are; the averages begin with its weights of now.
        decay: how much of the average each step keeps, in [0, 1).
        players: whose parameters.

    Raises:
        UserError: when a player is not there.
    """

    translator: Translator

    def __init__(self, translator: Translator, decay: float, players: Sequence[str]) -> None:
        super().__init__()
        object.__setattr__(self, "translator", translator)  # no part of this module: it is saved as itself
        check_players("average.players", players, translator)
        self.decay = decay
        self.players = tuple(players)
        self._names = averaged_names(translator, players)
        for n, weight in enumerate(self._weights()):
            self.register_buffer(str(n), weight.detach().clone())

    @torch.no_grad()
    def follow(self) -> None:
        """Take in the weights as they are after a step."""
        torch._foreach_lerp_(list(self.buffers()), [w.detach() for w in self._weights()], 1 - self.decay)

    @torch.no_grad()
    def exchange(self) -> dict[str, Tensor]:
        """Put the averages in the place of the weights, and return the weights by their names."""
        trained = {name: w.detach().clone() for name, w in zip(self._names, self._weights(), strict=True)}
        for weight, average in zip(self._weights(), self.buffers(), strict=True):
            weight.copy_(average)
        return trained

    @torch.no_grad()
    def put_into(self, copy: Translator) -> None:
        """Put the averages in the place of the weights of a copy of the translator."""
        parameters = dict(copy.named_parameters())
        for name, average in zip(self._names, self.buffers(), strict=True):
            parameters[name].copy_(average)

    def _weights(self) -> list[nn.Parameter]:
        parameters = dict(self.translator.named_parameters())
        return [parameters[name] for name in self._names]


def averaged_names(translator: Translator, players: Sequence[str]) -> list[str]:
    """Return the names of some players' parameters, each once."""
    owned = {id(parameter) for player in players for parameter in translator.players()[player]}
    return [name for name, parameter in translator.named_parameters() if id(parameter) in owned]


@torch.no_grad()
def put_trained_back(translator: Translator, trained: Mapping[str, Tensor]) -> None:
    """Put weights that `Averages.exchange` has returned back in their places."""
    parameters = dict(translator.named_parameters())
    for name, tensor in trained.items():
        parameters[name].copy_(tensor)
