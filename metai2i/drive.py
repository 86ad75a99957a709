"""Drives a translator's moves. Plain training, the inner loop and the outer loss all come through `drive`.

A `Translator.training_step` says who moves and what they minimise; an `Update` says what a move does. Descending is one
kind of update, adapting a copy is another (`metai2i.inner`), collecting a meta-gradient a third.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from metai2i.batch import Batch
from metai2i.errors import UserError, did_you_mean
from metai2i.translator import Step, Translator

Update = Callable[[Sequence[str], Tensor], None]
"""Is given the players that move and the scalar they minimise, and updates them (or not)."""


class NonFinite(UserError):
    """A loss became NaN or infinite; training stops before the update, so the model is still as it was."""

    def __init__(self, player: str, term: str, value: float) -> None:
        super().__init__(
            f"the loss term {term!r} of {player!r} is {value}",
            hint="lower the learning rate or the term's weight, or set clip",
        )


def drive(translator: Translator, batch: Batch, step: Step, update: Update) -> dict[str, Tensor]:
    """Runs all moves of one training step.

    Returns:
        The loss terms as detached scalars, named "player/term" ("generator/l1").

    Raises:
        NonFinite: before the update that a NaN or infinite term would have caused.
    """
    told: dict[str, Tensor] = {}
    translator.train()
    with step.rng.at("global").scope():
        for move, losses in translator.training_step(batch, step):
            players = (move,) if isinstance(move, str) else tuple(move)
            name = "+".join(players)
            check_move(translator, players, losses)
            for term, value in losses.items():
                if not torch.isfinite(value):
                    raise NonFinite(name, term, value.item())
                told[f"{name}/{term}"] = value.detach()
            update(players, torch.stack([value.reshape(()) for value in losses.values()]).sum())
    return told


def check_move(translator: Translator, players: Sequence[str], losses: Mapping[str, Tensor]) -> None:
    """Refuses what the author of a translator is most likely to get wrong.

    Raises:
        UserError: for a player that is not there, no losses, or a loss that is not a scalar.
    """
    known = translator.players()
    author = f"{type(translator).__name__}.training_step"
    for player in players:
        if player not in known:
            hint = did_you_mean(player, known)
            raise UserError(f"{author} yields the player {player!r}, which players() does not have", hint=hint)
    if not losses:
        raise UserError(f"{author} yields no losses for {'+'.join(players)!r}", hint="leave the move out instead")
    for term, value in losses.items():
        if value.numel() != 1:
            shape = tuple(value.shape)
            raise UserError(
                f"{author}: the loss term {term!r} has shape {shape}, expected a scalar", hint="take a mean"
            )


def translate(translator: Translator, batch: Batch, step: Step) -> Tensor:
    """The pictures for a batch, (B, 3, H, W) in [-1, 1], in evaluation mode, without a graph, and without the target:
    what is to be predicted is not there to be looked at."""
    blind = Batch(**{name: tensor for name, tensor in batch.items() if name != "target"})
    translator.eval()
    with step.rng.at("global").scope(), torch.no_grad():
        return translator.translate(blind)


def parameters_of(translator: Translator, players: Sequence[str]) -> list[Tensor]:
    """The parameters of the players that move, as they are now."""
    every = translator.players()
    return [parameter for player in players for parameter in every[player]]


def parameter_groups(translator: Translator, lr: float) -> list[Mapping[str, object]]:
    """One optimiser group for each player, at its own multiple of `lr`."""
    return [
        {"params": list(parameters), "lr": lr * translator.rates.get(player, 1.0), "name": player}
        for player, parameters in translator.players().items()
    ]


def gradients(loss: Tensor, parameters: Sequence[Tensor], *, graph: bool = False, retain: bool = False) -> list[Tensor]:
    """d loss / d parameters; zeros for a parameter that the loss does not reach.

    Args:
        graph: keep the graph of the gradients themselves, for a second order.
        retain: keep the graph of the loss for a later move.
    """
    found = torch.autograd.grad(loss, parameters, create_graph=graph, retain_graph=graph or retain, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]


def descend(translator: Translator, optimizer: torch.optim.Optimizer, clip: float | None = None) -> Update:
    """Plain training: each move takes one optimiser step of the players that move, and of nobody else.

    Args:
        clip: the largest norm that the gradient of a move may have.
    """

    def update(players: Sequence[str], loss: Tensor) -> None:
        parameters = parameters_of(translator, players)
        optimizer.zero_grad(set_to_none=True)  # an optimiser passes over parameters without a gradient
        for parameter, gradient in zip(parameters, gradients(loss, parameters), strict=True):
            parameter.grad = gradient
        check_gradients(players, parameters)
        if clip is not None:
            nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()

    return update


def check_gradients(players: Sequence[str], parameters: Iterable[Tensor]) -> None:
    """Refuses an update that would put NaN into the parameters, though the loss itself was finite.

    Raises:
        UserError: naming the players.
    """
    norms = torch._foreach_norm([p.grad for p in parameters if p.grad is not None])
    if norms and not torch.isfinite(torch.stack(list(norms)).sum()):
        who = "+".join(players)
        raise UserError(f"the gradient of {who!r} is not finite", hint="lower the learning rate, or set clip")


def watch(players: Sequence[str], loss: Tensor) -> None:
    """The update that updates nobody: for reading losses off a model."""
