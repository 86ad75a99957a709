"""A support in the fewest bytes that hold it, as the file of an adapted model has it, and back."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.images import to_uint8
from metai2i.field import Field
from metai2i.tasks import TaskSpec


def packed_support(support: Batch, spec: TaskSpec) -> dict[str, Tensor]:
    """Return a support as a model's file has it, by the kind of each field.

    Photographs (N, 3, H, W) and continuous maps (N, C, H, W) as bytes, label maps as class ids (N, H, W), ids and
    labels as they are; fields of which the spec says nothing are left out.
    """
    known = {name: spec.known_field(name) for name in support}
    return {name: _packed(support[name], field) for name, field in known.items() if field is not None}


def unpacked_support(packed: Mapping[str, Tensor], spec: TaskSpec) -> Batch:
    """Return the support that `packed_support` has packed: photographs in [-1, 1], label maps one-hot."""
    known = {name: spec.known_field(name) for name in packed}
    return Batch(**{name: _unpacked(packed[name], field) for name, field in known.items() if field is not None})


def packed_shape(field: Field, size: tuple[int, int]) -> tuple[int, ...] | None:
    """Return the shape of one packed sample for images of H x W."""
    return size if field.kind == "onehot" else field.shape(size)


def _packed(values: Tensor, field: Field) -> Tensor:
    if field.kind == "onehot":
        ids = values.argmax(1)
        return ids.to(torch.uint8 if ids.max() < 256 else torch.int32)
    if field.kind == "map":
        return (values.clamp(0, 1) * 255).round().to(torch.uint8)
    return to_uint8(values) if field.kind == "photo" else values.contiguous()


def _unpacked(values: Tensor, field: Field) -> Tensor:
    if field.kind == "onehot":
        return torch.nn.functional.one_hot(values.long(), field.channels).permute(0, 3, 1, 2).float()
    if field.kind == "map":
        return values.float() / 255
    return values.float() / 127.5 - 1 if field.kind == "photo" else values
