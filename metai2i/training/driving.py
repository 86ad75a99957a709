"""Drives a translator's moves. Plain training, the inner loop and the outer loss all come through `drive`.

A `Translator.training_step` says who moves and what they minimise; an `Update` says what a move does. Descending is one
kind of update, adapting a copy is another (`metai2i.meta.inner_loop`), collecting a meta-gradient a third.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from metai2i.batch import Batch
from metai2i.errors import UserError, did_you_mean
from metai2i.precision import at_least_single, computing_in
from metai2i.registry.declared import of_kind
from metai2i.registry.discovery import label_of
from metai2i.training.file_names import SIDE_BY_SIDE
from metai2i.training.ways import ask, handed_over
from metai2i.translator import Losses, Move, Step, Translator

Update = Callable[[Sequence[str], Tensor], None]
"""Is given the players that move and the scalar they minimise, and updates them (or not)."""


class NonFinite(UserError):
    """A loss, a gradient or an image became NaN or infinite: most likely training diverged."""


def loss_not_finite(players: Sequence[str], term: str, value: float, translator: Translator) -> NonFinite:
    """Return what is said of a loss term; it is raised before the update, so the model is still as it was."""
    what = f"the loss term {term!r} of {'+'.join(players)!r} is {value}"
    return NonFinite(what, hint=f"{whose(translator)}lower the learning rate or the term's weight, or set clip")


def whose(translator: Translator | None) -> str:
    """Return whose translator it is, as the beginning of a hint."""
    translator_class = type(translator)
    return (
        f"the translator is {translator_class.__name__} of {label_of(translator_class)}; "
        if translator is not None
        else ""
    )


def drive(translator: Translator, batch: Batch, step: Step, update: Update) -> dict[str, Tensor]:
    """Run all moves of one training step.

    Returns:
        The loss terms as detached scalars, named "player/term" ("generator/l1").

    Raises:
        NonFinite: before the update that a NaN or infinite term would have caused.
    """
    losses_by_term: dict[str, Tensor] = {}
    batch = with_draws(translator, batch, step)
    translator.train()
    with step.rng.at("global").scope():
        for players, losses in checked_moves(translator, batch, step):
            for term, value in losses.items():
                if not torch.isfinite(value):
                    raise loss_not_finite(players, term, value.item(), translator)
            losses_by_term |= named(players, losses)
            update(players, total_of(losses))
    return losses_by_term


def with_draws(translator: Translator, batch: Batch, step: Step) -> Batch:
    """Return a batch with what the translator's step draws (`Translator.draws`), on the batch's device; what the batch
    has already stays.
    """
    home = batch_device(batch)
    further = {name: values.to(home) for name, values in drawn_by(translator, batch, step).items() if name not in batch}
    return batch.replace(**further) if further else batch


def drawn_by(translator: Translator, batch: Batch, step: Step) -> Mapping[str, Tensor]:
    """Return what a translator's step draws, by name.

    Raises:
        UserError: naming the translator, for what is no tensor with a value for each sample.
    """
    if type(translator).draws is Translator.draws:
        return {}
    with step.rng.at("draws").scope():
        drawn: Any = translator.draws(batch, step)
    if problem := _wrong_draws(drawn, batch.size):
        # Who has written it is looked up in what is installed, which takes longer than a small step.
        raise UserError(f"{type(translator).__name__}.draws gives {problem}", hint=whose(translator).removesuffix("; "))
    tensors: Mapping[str, Tensor] = drawn
    return tensors


def _wrong_draws(drawn: object, size: int) -> str | None:
    """Return what is wrong with draws for `size` samples, in words; None when nothing is."""
    if not isinstance(drawn, Mapping):
        return f"{of_kind(drawn)}, expected tensors by names"
    for name, values in drawn.items():
        if not isinstance(values, Tensor) or not values.ndim or len(values) != size:
            got = tuple(values.shape) if isinstance(values, Tensor) else of_kind(values)
            return f"{got} for {name!r}, expected a tensor whose first dimension is {size}"
    return None


def check_draw_names(translator: Translator, batch: Batch, step: Step) -> None:
    """Refuse draws that have the name of a field of the data: the step would read the one and mean the other.

    Args:
        translator: whose they are.
        batch: of the data.
        step: any.

    Raises:
        UserError: naming the field.
    """
    for name in sorted(set(drawn_by(translator, batch, step)) & set(batch)):
        what = f"{type(translator).__name__}.draws gives {name!r}, which is a field of the data, too"
        raise UserError(what, hint=f"{whose(translator)}give it another name")


def query_losses(copy: Translator, query: Batch, step: Step, update: Update) -> dict[str, Tensor]:
    """Drive an adapted copy on its scene's query, at an address of its own, and return the losses to log.

    Args:
        update: what each player's loss is used for: adding its gradient to the general model, or nothing (`watch`).

    Returns:
        The loss terms as detached scalars, named "query/player/term".
    """
    return {
        f"query/{term}": value for term, value in drive(copy, query, step.at("query", role="query"), update).items()
    }


def named(players: Sequence[str], losses: Losses) -> dict[str, Tensor]:
    """Return the loss terms of a move as detached scalars, named "player/term"."""
    return {f"{'+'.join(players)}/{term}": value.detach() for term, value in losses.items()}


def total_of(losses: Losses) -> Tensor:
    """Return what the players that move minimise."""
    return torch.stack([value.reshape(()) for value in losses.values()]).sum()


def checked_moves(translator: Translator, batch: Batch, step: Step) -> Iterator[tuple[tuple[str, ...], Losses]]:
    """Yield who moves and what they minimise; each move is checked by what it is, and not by its numbers.

    Raises:
        UserError: as `check_move` does.
    """
    for move, losses in moves_of(translator, batch, step):
        players = (move,) if isinstance(move, str) else tuple(move)
        check_move(translator, players, losses)
        yield players, losses


def moves_of(translator: Translator, batch: Batch, step: Step) -> Iterator[Move]:
    """Yield the moves of one training step, computed in the translator's precision; what is done between
    them is not.

    Raises:
        UserError: naming the translator, where a step or a move is none.
    """
    given: Any = translator.training_step(batch, step)
    if not isinstance(given, Iterator | list):
        got = f"{type(translator).__name__}.training_step returns {of_kind(given)}"
        hint = f"""{whose(translator)}write `yield "generator", {{"l1": loss}}` in place of `return`"""
        raise UserError(f"{got}, expected moves that it yields", hint=hint)
    moves = iter(given)
    while True:
        with computing_in(translator.precision, batch_device(batch)):
            move: Any = next(moves, None)
        if move is None:
            return
        if not isinstance(move, tuple) or len(move) != 2:
            got = f"{type(translator).__name__}.training_step yields {of_kind(move)}"
            hint = f"""{whose(translator)}such as `yield "generator", {{"l1": loss}}`"""
            raise UserError(f"{got}, expected who moves and what they minimise", hint=hint)
        yield move


def batch_device(batch: Batch) -> torch.device:
    """Return the device of a batch."""
    return next((tensor.device for tensor in batch.values()), torch.device("cpu"))


def check_move(translator: Translator, players: Sequence[str], losses: Losses) -> None:
    """Refuse what the author of a translator is most likely to get wrong.

    Raises:
        UserError: for a player that is not there, no losses, or a loss that is no scalar on the networks' device.
    """
    known = translator.players()
    author = f"{type(translator).__name__}.training_step"
    for player in players:
        if player not in known:
            hint = did_you_mean(player, known)
            raise UserError(f"{author} yields the player {player!r}, which players() does not have", hint=hint)
    given: object = losses
    if not isinstance(given, Mapping):
        what = f"{author} yields {of_kind(given)} for {'+'.join(players)!r}, expected losses by name"
        raise UserError(what, hint="such as {'l1': loss}")
    if not losses:
        raise UserError(f"{author} yields no losses for {'+'.join(players)!r}", hint="leave the move out instead")
    home = next((parameter.device for parameter in parameters_of(translator, players)), None)
    for term, value in losses.items():
        wrong = wrong_loss(value, home)
        if wrong is not None:
            what, hint = wrong
            raise UserError(f"{author}: the loss term {term!r} {what}", hint=f"{whose(translator)}{hint}")


def wrong_loss(value: object, home: torch.device | None) -> tuple[str, str] | None:
    """Return what is wrong with a loss term of networks on a device, and what to do about it; None when nothing is."""
    if not isinstance(value, Tensor):
        return f"is {type(value).__name__}, expected a scalar tensor", "leave out what is not there"
    if value.numel() != 1:
        return f"has shape {tuple(value.shape)}, expected a scalar", "take a mean"
    if home is not None and value.device != home:
        hint = "make tensors where the batch is: x.new_zeros(...), .to(x)"
        return f"is on {value.device}, the networks are on {home}", hint
    return None


def translate(translator: Translator, batch: Batch, step: Step, way: str | None = None) -> Tensor:
    """Return the images for a batch, (B, 3, H, W) in [-1, 1], in evaluation mode, without a graph, and without the
    target: what is to be predicted is not there to be looked at.

    Args:
        way: one of the translator's `ways`, whose fields alone it is handed; its first when None.

    Raises:
        UserError: naming the translator and what brought it, when they are none, of another shape or on another device.
        NonFinite: when they hold values that are not finite.
    """
    images, author = paint(translator, batch, step, way), type(translator).__name__
    if (wrong := wrong_images(images, batch)) is not None:
        what, hint = wrong
        raise UserError(f"the images of {author} {what}", hint=f"{whose(translator)}{hint}")
    if not bool(torch.isfinite(images).all()):  # as 8-bit levels they would pass for black
        hint = f"{whose(translator)}training diverged: lower the rate"
        raise NonFinite(f"the images of {author} hold values that are not finite", hint=hint)
    return images


def paint(translator: Translator, batch: Batch, step: Step, way: str | None = None) -> Tensor:
    """Return what `translate` gives, whatever it is."""
    blind = handed_over(translator, batch, way)
    translator.eval()
    with step.rng.at("global").scope(), torch.no_grad(), computing_in(translator.precision, batch_device(blind)):
        images = ask(translator, blind, way)
    return at_least_single(images) if isinstance(images, Tensor) else images


def shown_images(translator: Translator, batch: Batch, step: Step, way: str | None = None) -> dict[str, Tensor]:
    """Return the further images that a translator has for a report, by their names, each (B, 3, H, W) in [-1, 1].

    What it draws for them is what `translate` draws at the same step.

    Args:
        way: whose fields it is handed, as for `translate`.

    Raises:
        UserError: naming the translator, for names or images that are none.
    """
    blind = handed_over(translator, batch, way)
    translator.eval()
    with step.rng.at("global").scope(), torch.no_grad(), computing_in(translator.precision, batch_device(blind)):
        given: Any = translator.shown(blind)
    if not isinstance(given, Mapping) or not all(isinstance(name, str) and name.isidentifier() for name in given):
        what = f"shown() of {type(translator).__name__} gives {of_kind(given)}, expected images by names"
        raise UserError(what, hint=whose(translator).removesuffix("; "))
    if SIDE_BY_SIDE in given:
        what = f"shown() of {type(translator).__name__} gives {SIDE_BY_SIDE!r}, as the outputs for a query are called"
        raise UserError(what, hint=f"{whose(translator)}give it another name")
    for name, images in given.items():
        fits = isinstance(images, Tensor) and images.ndim == 4 and images.shape[:2] == (batch.size, 3)
        if not fits or not bool(torch.isfinite(images).all()):
            got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
            raise UserError(
                f"shown() of {type(translator).__name__} gives {got} for {name!r}, expected finite images "
                f"({batch.size}, 3, H, W)",
                hint=whose(translator).removesuffix("; "),
            )
    return {name: at_least_single(images) for name, images in given.items()}


def wrong_images(images: object, batch: Batch) -> tuple[str, str] | None:
    """Return what is wrong with the images made for a batch, whatever their values, and what to do about it; None when
    nothing is.
    """
    check = "`metai2i check` tries it on small scenes"
    if not isinstance(images, Tensor):
        return f"are {type(images).__name__}, expected a tensor", check
    shown = next((batch[name] for name in ("structure", "source") if name in batch), images)
    wanted = (batch.size, 3, *shown.shape[-2:])
    if tuple(images.shape) != wanted:
        return f"have the shape {tuple(images.shape)}, expected {wanted}", check
    if images.device != shown.device:
        return f"are on {images.device}, the batch is on {shown.device}", check
    return None


def parameters_of(translator: Translator, players: Sequence[str]) -> list[Tensor]:
    """Return the parameters of the players that move, as they are now."""
    every = translator.players()
    return [parameter for player in players for parameter in every[player]]


def parameter_groups(translator: Translator, lr: float) -> list[dict[str, Any]]:
    """Return one optimiser group for each player, at its own multiple of `lr`."""
    return [
        {"params": list(parameters), "lr": lr * translator.rates.get(player, 1.0), "name": player}
        for player, parameters in translator.players().items()
    ]


def gradients(loss: Tensor, parameters: Sequence[Tensor], *, graph: bool = False, retain: bool = False) -> list[Tensor]:
    """Return d loss / d parameters; zeros for a parameter that the loss does not reach.

    Args:
        graph: keep the graph of the gradients themselves, for a second order.
        retain: keep the graph of the loss for a later move.

    Raises:
        UserError: for a loss that nothing can be learned from.
    """
    if not loss.requires_grad:
        raise UserError(
            "a loss that training_step yields depends on no parameter, so nothing can be learned from it",
            hint="look for .detach(), .item(), .data or torch.no_grad() before it",
        )
    grads = torch.autograd.grad(loss, parameters, create_graph=graph, retain_graph=graph or retain, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, grads, strict=True)]


def descend(
    translator: Translator,
    optimizer: torch.optim.Optimizer,
    clip: float | None = None,
    check: Callable[[Sequence[str], Iterable[Tensor]], None] | None = None,
) -> Update:
    """Return the update of plain training: each move takes one optimiser step of the players that move, and of nobody
    else.

    Args:
        clip: the largest norm that the gradient of a move may have.
        check: looks at the parameters' gradients before the step; None for `check_gradients`.
    """
    look = check_gradients if check is None else check

    def update(players: Sequence[str], loss: Tensor) -> None:
        parameters = parameters_of(translator, players)
        optimizer.zero_grad(set_to_none=True)  # an optimiser passes over parameters without a gradient
        for parameter, gradient in zip(parameters, gradients(loss, parameters), strict=True):
            parameter.grad = laid_out_as(parameter, gradient)
        look(players, parameters)
        if clip is not None:
            nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()

    return update


def laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    """Return a gradient with the strides of its parameter, for torch's fused optimisers read memory as it lies."""
    return gradient if gradient.stride() == parameter.stride() else torch.empty_like(parameter).copy_(gradient)


def add_gradients(parameters: Iterable[Tensor], grads: Sequence[Tensor]) -> None:
    """Add gradients to those that the parameters have."""
    for parameter, gradient in zip(parameters, grads, strict=True):
        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def check_gradients(players: Sequence[str], parameters: Iterable[Tensor]) -> None:
    """Refuse an update that would put NaN into the parameters, though the loss itself was finite.

    Raises:
        NonFinite: naming the players.
    """
    if not are_finite([p.grad for p in parameters if p.grad is not None]):
        who = "+".join(players)
        raise NonFinite(f"the gradient of {who!r} is not finite", hint="lower the learning rate, or set clip")


def are_finite(tensors: Sequence[Tensor]) -> Tensor:
    """Return whether no number of the tensors is NaN or infinite (nor the sum of their norms), as a scalar."""
    if not tensors:
        return torch.tensor(True)
    return torch.isfinite(torch.stack(list(torch._foreach_norm(list(tensors)))).sum())


def watch(players: Sequence[str], loss: Tensor) -> None:
    """Update nobody: for reading losses off a model."""
