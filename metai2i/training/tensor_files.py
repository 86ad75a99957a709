"""Tensors of files that others have written: safetensors, or PyTorch's, by readers that run no code from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metai2i.errors import UserError
from metai2i.files import reason
from metai2i.training.checkpoint import read_tensors


def read_tensor_file(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by their names, on the CPU; what stands inside sections has names with dots.

    Whatever else a file holds (numbers, texts, the state of an optimiser that is no tensor) is passed over.

    Args:
        path: safetensors by its ending; anything else is read as PyTorch writes it, with `weights_only`.

    Raises:
        UserError: when it is not there, cannot be read so, or holds no tensor.
    """
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise UserError(f"this file of tensors cannot be read ({reason(error)})", where=path) from None
    try:
        content: Any = (
            read_tensors(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except Exception as error:  # damaged files fail in many ways, and each means the same to the reader
        first = str(error).strip().partition("\n")[0][:200]
        first = first if " " in first else f"{type(error).__name__} {first}".strip()
        hint = (
            "it may be incomplete; a file that holds Python objects beside tensors is not read: save its state_dict()"
        )
        raise UserError(f"cannot be read as tensors: {first}", where=path, hint=hint) from error
    tensors = dict(_tensors(content, ()))
    if not tensors:
        raise UserError("this file holds no tensors by name", where=path, hint="expected what state_dict() gives")
    return tensors


def _tensors(content: object, at: tuple[str, ...]) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors in nested sections, by dotted names."""
    if isinstance(content, Tensor):
        if at:
            yield ".".join(at), content.detach()
    elif isinstance(content, Mapping):
        for name, inner in content.items():
            yield from _tensors(inner, (*at, str(name)))
