"""Tensors on disk as safetensors with JSON beside them in the header; nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from metai2i.errors import UserError
from metai2i.files import write_atomically

Named = dict[str, Tensor]


def save(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Writes tensors and a JSON-able state into one file, atomically."""
    # clone: safetensors refuses tensors that share storage, and a view would drag its whole base along
    owned = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_atomically(path, lambda draft: save_file(owned, draft, metadata={"state": json.dumps(state)}))


def load(path: Path) -> tuple[Named, dict[str, Any]]:
    """The tensors and the state of a file that `save` wrote.

    Raises:
        UserError: when the file is damaged or was written by something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {}).get("state", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, state  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot read this checkpoint: {error}", where=path, hint="delete it to start over") from error


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> Named:
    """The tensors under `prefix.`."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def part(prefix: str, tensors: Mapping[str, Tensor]) -> Named:
    """The tensors that stand under `prefix.`, without it."""
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> Named:
    """An optimiser's state as named tensors: "PARAMETER.NAME", parameters counted as torch counts them."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": torch.as_tensor(v) for index, entry in state.items() for name, v in entry.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Puts back what `optimizer_tensors` gave; rates and groups stay those of `optimizer`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def digest(module: nn.Module) -> str:
    """A hash of every parameter and buffer, bit for bit."""
    found = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
