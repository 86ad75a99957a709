"""Tensors on disk as safetensors with JSON beside them in the header; nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from numbers import Real
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from metai2i.errors import UserError
from metai2i.files import write_atomically
from metai2i.training.sealed import SEAL

Named = dict[str, Tensor]
NUMBER = "#"
"""Comes before the name of what is a number in an optimiser's state."""


def save(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, object]) -> None:
    """Write tensors and a JSON-able state into one file, atomically, with a digest of both."""
    # clone: safetensors refuses tensors that share storage, and a view would drag its whole base along
    owned = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    plain = json.loads(json.dumps(state))
    # In one entry with the state, for safetensors writes several in any order.
    header = {"state": json.dumps({**plain, SEAL: _digest_of(owned, plain)})}
    write_atomically(path, lambda draft: _write(draft, owned, header))


def _write(path: Path, tensors: Named, header: dict[str, str]) -> None:
    try:
        save_file(tensors, path, metadata=header)
    except SafetensorError as error:  # the system's error stands in its text only: "... (os error 28)"
        number = re.search(r"os error (\d+)", str(error))
        raise OSError(int(number[1]), os.strerror(int(number[1]))) if number else OSError(str(error)) from error


def load(path: Path, *, check: bool = True) -> tuple[Named, object]:
    """Return the tensors and the state of a file that `save` wrote.

    Args:
        check: whether to compute the digest of the content; False for a file that was read through before. A file
            without a digest, as earlier versions wrote them, has nothing to be held against.

    Raises:
        UserError: when the file is damaged or was written by something else.
    """
    try:
        with safe_open(path, framework="np") as file:
            state = json.loads((file.metadata() or {})["state"])
        seal = state.pop(SEAL, None) if isinstance(state, dict) else None
        tensors = read_tensors(path)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        ours = isinstance(error, OSError | SafetensorError)
        what = str(error) if ours else "it is no checkpoint of metai2i"
        raise UserError(f"cannot read this checkpoint: {what}", where=path, hint=_again(path)) from error
    if check and seal is not None and seal != _digest_of(tensors, state):
        what = "it was changed or damaged after it was written"
        raise UserError(f"cannot read this checkpoint: {what}", where=path, hint=_again(path))
    return tensors, state


def read_tensors(path: Path) -> Named:
    """Return the tensors of any safetensors file.

    Raises:
        OSError, SafetensorError: when it cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except SafetensorError as error:
        if "torch package version" not in str(error):  # a torch of somebody's own making: read without asking for it
            raise
        return safetensors.torch.load(path.read_bytes())


def load_state(path: Path) -> object:
    """Return the state of a file that `save` wrote, without its tensors, which are not looked at; None of any other
    file.
    """
    try:
        with safe_open(path, framework="np") as file:
            state: object = json.loads((file.metadata() or {})["state"])
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RecursionError):
        return None
    return state


def _again(path: Path) -> str:
    return f"delete the folder {path.parent} to do this stage again"


def _digest_of(tensors: Named, state: object) -> str:
    """Return a hash of tensors, bit for bit, and of the state beside them."""
    hasher = hashlib.sha256(json.dumps(state).encode())
    for name, tensor in sorted(tensors.items()):
        hasher.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        hasher.update(_bytes_of(tensor))
    return hasher.hexdigest()


def _bytes_of(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> Named:
    """Return the tensors under `prefix.`."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def part(prefix: str, tensors: Mapping[str, Tensor]) -> Named:
    """Return the tensors that stand under `prefix.`, without it."""
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> Named:
    """Return an optimiser's state as named tensors: "PARAMETER.NAME", parameters counted as torch counts them, or
    "PARAMETER.#NAME" for a number, to all its digits.

    Raises:
        UserError: for state that is neither a tensor nor a number.
    """
    state = optimizer.state_dict()["state"]
    entries = [(f"{index}.{name}", value) for index, entry in state.items() for name, value in entry.items()]
    for name, value in entries:
        if not isinstance(value, Tensor | Real):
            what = (
                f"the optimiser {type(optimizer).__name__} keeps {type(value).__name__} as {name.partition('.')[2]!r}"
            )
            raise UserError(f"{what}, which no checkpoint can hold", hint="keep tensors or numbers in its state")
    return dict(_named(name, value) for name, value in entries)


def _named(name: str, value: Tensor | bool | float) -> tuple[str, Tensor]:
    """Return the name and the tensor under which an entry of an optimiser's state is kept."""
    if isinstance(value, Tensor):
        return name, value
    index, _, key = name.partition(".")
    return f"{index}.{NUMBER}{key}", torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None)


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` gave; rates and groups stay those of `optimizer`."""
    state: dict[int, dict[str, Tensor | float]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        # torch casts tensors to the type of their parameter, and leaves numbers as they are.
        state.setdefault(int(index), {})[key.removeprefix(NUMBER)] = tensor.item() if key.startswith(NUMBER) else tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def digest(module: nn.Module) -> str:
    """Return a hash of every parameter and buffer, bit for bit; buffers that are not saved with the module count as
    well.
    """
    hasher = hashlib.sha256()
    for name, tensor in sorted({**module.state_dict(), **dict(module.named_buffers())}.items()):
        hasher.update(name.encode())
        hasher.update(_bytes_of(tensor))
    return hasher.hexdigest()
