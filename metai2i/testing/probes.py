"""What several kinds of contract look at: values, storage, global generators, and what the general model was."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from metai2i.meta.instance import still_parameters
from metai2i.registry.options import option_problems
from metai2i.testing.contract import ContractError, require
from metai2i.training.checkpoint import digest
from metai2i.training.driving import paint
from metai2i.training.ways import ways_of
from metai2i.translator import Step, Translator

SLACK = 1e-5
"""How far an image may be out of [-1, 1] by rounding."""


def check_images(images: Tensor, count: int, size: tuple[int, int], whose: str) -> None:
    """Require (count, 3, H, W) floats, finite, in [-1, 1].

    Raises:
        ContractError: when they are not.
    """
    wanted = (count, 3, *size)
    require(tuple(images.shape) == wanted, f"{whose} of the shape {wanted}", str(tuple(images.shape)))
    require(images.is_floating_point(), f"{whose} as floats", str(images.dtype))
    require(bool(torch.isfinite(images).all()), f"finite {whose}", "NaN or infinite values")
    check_range(images, whose)


def check_range(images: Tensor, whose: str) -> None:
    """Require values in [-1, 1].

    Raises:
        ContractError: with the values that are there.
    """
    low, high = float(images.min()), float(images.max())
    inside = low >= -1 - SLACK and high <= 1 + SLACK
    require(inside, f"{whose} in [-1, 1]", f"values in [{low:.3g}, {high:.3g}]")


@contextmanager
def untouched(gp: nn.Module, doing: str) -> Iterator[None]:
    """Require that a model is afterwards what it was, bit for bit, buffers included.

    Raises:
        ContractError: when it is not.
    """
    before = {name: _digest_of(tensor) for name, tensor in named_tensors(gp)}
    yield
    after = {name: _digest_of(tensor) for name, tensor in named_tensors(gp)}
    changed = [name for name in before if before[name] != after.get(name)]
    require(not changed, f"the general model as it was after {doing}", f"another {', '.join(changed[:3])}")


def named_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield all parameters and buffers."""
    yield from module.named_parameters()
    yield from module.named_buffers()


def _digest_of(tensor: Tensor) -> str:
    """Return a hash of one tensor."""
    holder = nn.Module()
    holder.register_buffer("tensor", tensor.detach())
    return digest(holder)


def shared_storage(copy: nn.Module, origin: nn.Module) -> str | None:
    """Return the name of a tensor of the copy that lies in the memory of one of the origin's, if there is such; those
    that nobody trains may.
    """
    still = still_parameters(origin) if isinstance(origin, Translator) else {}
    named = [(name, tensor) for name, tensor in named_tensors(origin) if name not in still]
    known = {tensor.untyped_storage().data_ptr() for _, tensor in named if tensor.numel()}
    lying = (name for name, tensor in named_tensors(copy) if tensor.numel())
    owned = dict(named_tensors(copy))
    return next((name for name in lying if owned[name].untyped_storage().data_ptr() in known), None)


@contextmanager
def global_generators_alone(doing: str) -> Iterator[None]:
    """Require that the generators of `random` and `numpy.random` are not drawn from.

    Raises:
        ContractError: naming the one that was.
    """
    python, old = random.getstate(), np.random.get_state(legacy=False)
    yield
    wish = f"randomness from the step's address only in {doing}"
    require(random.getstate() == python, wish, "a draw from Python's random")
    now: Any = np.random.get_state(legacy=False)
    was: Any = old
    same = np.array_equal(now["state"]["key"], was["state"]["key"]) and now["state"]["pos"] == was["state"]["pos"]
    require(same, wish, "a draw from numpy.random")


def disturb(seed: int) -> None:
    """Put all global generators elsewhere."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def same_losses(first: Mapping[str, Tensor], again: Mapping[str, Tensor]) -> bool:
    """Return whether the names, their order and all values are equal."""
    return list(first) == list(again) and all(torch.equal(first[name], again[name]) for name in first)


def painted(translator: Translator, batch: Any, step: Step, way: str | None = None) -> Tensor:
    """Return the images as the host makes them; without the target in the batch.

    Args:
        way: in which the translator is asked; its first when None.

    Raises:
        ContractError: when what comes is no tensor.
    """
    images: Any = paint(translator, batch, step, way)
    if not isinstance(images, Tensor):
        raise ContractError("images as a tensor", type(images).__name__)
    return images


def painted_in_all_ways(translator: Translator, batch: Any, step: Step) -> Tensor:
    """Return the images of all ways of asking, one way after the other."""
    return torch.cat([painted(translator, batch, step, way) for way in ways_of(translator)])


def in_way(way: str | None) -> str:
    """Return in which way a translator was asked, as the end of a message."""
    return "" if way is None else f" in the way {way!r}"


def takes(component: type, name: str, value: Any) -> bool:
    """Return whether a component has an option that may have this value."""
    return not any(problem.loc[:1] == (name,) for problem in option_problems(component, {name: value}))


def lacks_options(component: type) -> bool:
    """Return whether a component cannot be made with its defaults alone."""
    return bool(option_problems(component, {}))
