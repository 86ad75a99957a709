"""Copies of modules that stay in the graph: `clone_module` and `update_module`, learn2learn's or our own.

learn2learn's are used where it is installed (the extra `metai2i[learn2learn]`). Our own do the same, bit for bit, for
an environment without it: learn2learn is published as sources alone, and needs a compiler.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar, cast

from torch import Tensor, nn

ModuleT = TypeVar("ModuleT", bound=nn.Module)


@cache
def learn2learn_utils() -> Any:
    """Return `learn2learn.utils`, or None where learn2learn is not installed.

    It is imported on first use: a run that finds all its stages done never needs it. Importing it imports gym, which
    prints a page about its own retirement to stderr; a user of metai2i has never asked for gym and should not see it.
    """
    if find_spec("learn2learn") is None:
        return None
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        return import_module("learn2learn.utils")


def clone_module(module: ModuleT, shared: Iterable[Tensor] = ()) -> ModuleT:
    """Copy a module; its parameters are `clone()`s of the module's, so that gradients flow back; buffers are shared.
    What stands in several places, a parameter or a submodule, does so in the copy.

    Args:
        module: what is copied.
        shared: parameters that the copy has in common with it.
    """
    library = learn2learn_utils()
    if library:
        memo = {each.data_ptr: each for each in shared}  # the method itself, as learn2learn has it
        copy = cast(ModuleT, library.clone_module(module, memo=memo))
    else:
        copy = cloned(module, {each: each for each in shared})
    retied(module, copy, {})
    return copy


def retied(module: nn.Module, copy: nn.Module, known: dict[nn.Module, nn.Module]) -> None:
    """Put one copy in all places where a submodule stands: learn2learn makes one for each, which then keep running
    statistics of their own.

    Args:
        known: the copy of each submodule that has been met.
    """
    for name, child in module._modules.items():
        if child is None:
            continue
        if child in known:
            copy._modules[name] = known[child]
        else:
            known[child] = cast(nn.Module, copy._modules[name])
            retied(child, known[child], known)


def update_module(module: nn.Module) -> None:
    """Replace every parameter `p` that carries an `update` by `p + p.update`, keeping the graph."""
    library = learn2learn_utils()
    if library:
        library.update_module(module)
    else:
        updated(module, {})


def cloned(module: ModuleT, known: dict[Tensor, Tensor]) -> ModuleT:
    """Copy a module and its submodules, each parameter once.

    Args:
        known: the clone of each tensor that has been met, so that tied parameters stay tied.
    """

    def clone(tensor: Tensor) -> Tensor:
        if tensor not in known:  # tensors are hashed by identity
            known[tensor] = tensor.clone()
        return known[tensor]

    copy = module.__new__(type(module))
    copy.__dict__ = module.__dict__.copy()
    parameters = {name: None if p is None else clone(p) for name, p in module._parameters.items()}
    copy._parameters = cast(Any, parameters)  # clones are no `nn.Parameter`: they have a history
    # Buffers that are differentiated are cloned, the others (running statistics) shared, as learn2learn has it.
    copy._buffers = {name: clone(b) if b is not None and b.requires_grad else b for name, b in module._buffers.items()}
    copy._modules = {name: None if m is None else cloned(m, known) for name, m in module._modules.items()}
    return rebuilt(copy)


def updated(module: nn.Module, known: dict[Tensor, Tensor]) -> None:
    """Put `tensor + tensor.update` in the place of each parameter and buffer that carries an update.

    Args:
        known: what each tensor has become, so that tied parameters stay tied.
    """

    def step(tensor: Tensor | None) -> Tensor | None:
        if tensor is None:
            return None
        if tensor in known:
            return known[tensor]
        change = getattr(tensor, "update", None)
        if change is None:
            return tensor
        cast(Any, tensor).update = None
        known[tensor] = tensor + change  # a key, too, keeps the old tensor alive, and its identity its own
        return known[tensor]

    for tensors in (module._parameters, module._buffers):
        for name, tensor in tensors.items():
            cast(Any, tensors)[name] = step(tensor)
    for child in module._modules.values():
        if child is not None:
            updated(child, known)
    rebuilt(module)


def rebuilt(module: ModuleT) -> ModuleT:
    """Have a recurrent layer find its weights again, which it keeps a second time in a list; return the module."""
    if hasattr(module, "flatten_parameters"):
        cast(Any, module)._apply(lambda tensor: tensor)
    return module
