"""What of an adapted model is a scene's own: the tensors in which it differs from the general model."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from metai2i.meta.instance import still_parameters
from metai2i.translator import Translator


def differing(gp: Translator, adapted: Translator) -> dict[str, Tensor]:
    """Return the parameters and buffers of an adapted model that are not the general model's, whole and by name.

    Buffers that are not saved with a module do not count, and tied parameters count once.
    """
    before = state_of(gp)
    return {
        name: tensor
        for name, tensor in state_of(adapted).items()
        if name not in before or differs(before[name], tensor)
    }


def misfit(module: nn.Module, tensors: Mapping[str, Tensor], *, complete: bool = True) -> str | None:
    """Return which tensors of a file are not those of a network, in words; None when all are.

    Args:
        complete: whether the file should have all of the network's.
    """
    network = module.state_dict()
    problems = [f"the network has no {name}" for name in sorted(tensors.keys() - network.keys())]
    problems += [f"the file has no {name}" for name in sorted(network.keys() - tensors.keys()) if complete]
    problems += [
        f"{name} is {tuple(tensor.shape)} in the file and {tuple(network[name].shape)} in the network"
        for name, tensor in tensors.items()
        if name in network and tensor.shape != network[name].shape
    ]
    more = f", and {len(problems) - 1} more do not fit" if len(problems) > 1 else ""
    return f"{problems[0]}{more}" if problems else None


def overlaid(gp: Translator, tensors: Mapping[str, Tensor]) -> Translator:
    """Return a copy of the general model with other values in some of its parameters and buffers; what nobody trains is
    the general model's, unless it has other values.

    Raises:
        ValueError: for a name that the general model has not, and for a tensor of another shape.
    """
    still = still_parameters(gp) if isinstance(gp, Translator) else {}
    overlay = copy.deepcopy(gp, {id(each): each for name, each in still.items() if name not in tensors})
    if (wrong := misfit(overlay, tensors, complete=False)) is not None:
        raise ValueError(wrong)
    overlay.load_state_dict(dict(tensors), strict=False)
    return overlay


def same_kind(gp: Translator, adapted: Translator) -> bool:
    """Return whether an adapted model is the general model's network, with whatever values."""
    return type(adapted) is type(gp) and adapted.state_dict().keys() == gp.state_dict().keys()


def state_of(module: nn.Module) -> dict[str, Tensor]:
    """Return what is saved of a module, a tied parameter under the first of its names."""
    first = {name for name, _ in module.named_parameters()}
    tied = {name for name, _ in module.named_parameters(remove_duplicate=False)} - first
    return {name: tensor.detach() for name, tensor in module.state_dict().items() if name not in tied}


def differs(left: Tensor, other: Tensor) -> bool:
    """Return whether two tensors are not the same bit for bit, of whatever device."""
    return left.shape != other.shape or not torch.equal(left, other.to(left.device))


def numbers_in(tensors: Mapping[str, Tensor]) -> int:
    """Return how many numbers tensors hold."""
    return sum(tensor.numel() for tensor in tensors.values())


def bytes_in(tensors: Mapping[str, Tensor]) -> int:
    """Return how much room tensors take."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
