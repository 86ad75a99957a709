"""The tensors that a training began with, which its files leave out as long as they stay what they were."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from metai2i.training.checkpoint import Named, load

LEFT_OUT = "left_out"
"""Under this name the state of a file says which tensors it leaves out, and of which stage they are."""


@dataclass(frozen=True)
class StartWeights:
    """What a stage of the kind "start" has gathered.

    Args:
        key: of that stage.
        file: with its tensors.
        digests: of each tensor, by its name in the file.
    """

    key: str
    file: Path
    digests: Mapping[str, str]

    @classmethod
    def of(cls, key: str, file: Path) -> StartWeights:
        """Return what a file holds, as digests."""
        return cls(key, file, {name: tensor_digest(tensor) for name, tensor in load(file, check=False)[0].items()})

    def unchanged(self, tensors: Mapping[str, Tensor]) -> list[str]:
        """Return the names of those tensors that are bit for bit what the training began with."""
        return [name for name, tensor in tensors.items() if self.digests.get(name) == tensor_digest(tensor)]

    def left_out(self, names: Sequence[str]) -> dict[str, object]:
        """Return what the state of a file says that leaves some of them out."""
        return {LEFT_OUT: {"stage": self.key, "names": list(names)}} if names else {}

    def tensors(self, names: Iterable[str]) -> Named:
        """Return some of the tensors."""
        every = load(self.file, check=False)[0]
        return {name: every[name] for name in names}


def left_out_of(state: object) -> tuple[str, list[str]] | None:
    """Return the stage and the names of the tensors that a file leaves out, by its state; None where it has all."""
    left = state.get(LEFT_OUT) if isinstance(state, Mapping) else None
    if not isinstance(left, Mapping):
        return None
    names = left.get("names")
    return str(left.get("stage")), [str(name) for name in names] if isinstance(names, list) else []


def tensor_digest(tensor: Tensor) -> str:
    """Return a hash of a tensor's numbers, bit for bit, with their type and shape."""
    hasher = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
    hasher.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return hasher.hexdigest()


def digest_of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return a hash of tensors with their names, in 32 digits."""
    lines = [f"{name} {tensor_digest(tensor)}" for name, tensor in sorted(tensors.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]
