"""Instance-specific copies of the general model: connected to it by the graph, or cut off."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from metai2i.adaptation import Adaptation
from metai2i.meta.clones import clone_module
from metai2i.meta.plain_state import copy_plain
from metai2i.training.named_players import check_players
from metai2i.translator import Translator


def instance_of(gp: Translator, *, share: bool = True) -> Translator:
    """Return a copy of the general model, connected by the graph, with buffers and plain state of its own.

    Args:
        gp: the general model.
        share: whether parameters that nobody trains are the general model's, not copied; False for a copy that is to
            take steps of plain training, behind which a translator may move these itself.
    """
    copy = clone_module(gp, still_parameters(gp).values() if share else ())
    # learn2learn shares running statistics between a clone and its origin; adapting would change the origin.
    buffers = {id(buffer): buffer.clone() for buffer in copy.buffers()}
    for module in copy.modules():
        module._buffers = {name: None if b is None else buffers[id(b)] for name, b in module._buffers.items()}
    copy_plain(gp, copy)
    return copy


def still_parameters(translator: Translator) -> dict[str, nn.Parameter]:
    """Return by name the parameters that nobody trains: they belong to no player and require no gradient."""
    moving = {id(parameter) for parameters in translator.players().values() for parameter in parameters}
    return {
        name: parameter
        for name, parameter in translator.named_parameters()
        if not parameter.requires_grad and id(parameter) not in moving and parameter.numel()
    }


def parameter_places(copy: nn.Module) -> dict[int, list[tuple[nn.Module, str]]]:
    """Return where each parameter stands, by its id, in the order of `parameters()`; a tied one stands in several
    places.
    """
    places: dict[int, list[tuple[nn.Module, str]]] = {}
    for module in copy.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                places.setdefault(id(parameter), []).append((module, name))
    return places


def buffer_places(copy: Translator) -> list[list[tuple[nn.Module, str]]]:
    """Return where each buffer stands; a tied one stands in several places, and one that is None in its own."""
    places: dict[object, list[tuple[nn.Module, str]]] = {}
    for module in copy.modules():
        for name, buffer in module._buffers.items():
            places.setdefault((module, name) if buffer is None else id(buffer), []).append((module, name))
    return list(places.values())


def detach(copy: Translator) -> Translator:
    """Cut a copy off the general model: its parameters become leaves of its own, but for those that nobody trains.
    Return the copy.
    """
    for standing in parameter_places(copy).values():  # tied parameters stay tied
        parameter = cast(Tensor, standing[0][0]._parameters[standing[0][1]])
        if isinstance(parameter, nn.Parameter) and not parameter.requires_grad:
            continue  # shared: whatever `instance_of` has cloned is no leaf
        leaf = nn.Parameter(parameter.detach().clone(), parameter.requires_grad)
        for module, name in standing:
            module._parameters[name] = leaf
    return copy


def frozen_players(copy: Translator, adaptation: Adaptation) -> tuple[str, ...]:
    """Return the players that are not adapted.

    Raises:
        UserError: when one of them is not a player of the translator.
    """
    check_players("adapt.freeze", adaptation.freeze, copy)
    return adaptation.freeze
