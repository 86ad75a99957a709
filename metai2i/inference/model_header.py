"""What the file of an adapted model says of itself, checked before anything is built or allocated."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import torch
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic import Field as Checked
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from metai2i.errors import UserError
from metai2i.field import EXEMPLAR, PHOTOGRAPH, Field
from metai2i.inference.support_bytes import packed_shape
from metai2i.precision import Precision
from metai2i.registry.problems import first_problem
from metai2i.run_folder.record import other_version
from metai2i.run_folder.spec_json import SpecPart, SpecRecord
from metai2i.tasks import TaskSpec

FORMAT = "metai2i adapted model 1"
APART = "metai2i adapted model 1 apart from its general model"
GENERAL = "metai2i general model 1"
FAMILY, GENERALS = "metai2i adapted model", "metai2i general model"
"""How the formats of every version begin."""
_MOST_VALUES = 2**30
"""Of a support as one-hot maps."""
SPARE_TENSORS, SPARE_VALUES = 1000, 2**20
"""How much more than its file a network may have while it is built: some register a tensor several times."""

_UNKNOWN = (nn.parameter.UninitializedParameter, nn.parameter.UninitializedBuffer)
"""Tensors of lazy modules, which have no size yet."""


class _Part(BaseModel):
    """A part of the header; types are strict, and what is not known is passed over."""

    model_config = ConfigDict(strict=True, extra="ignore")


class TranslatorPart(_Part):
    """Which translator it is."""

    use: str
    options: dict[str, Any]


class PluginPart(_Part):
    """The identity of the translator's plugin."""

    name: str | None = None
    distribution: str | None = None
    version: str | None = None
    source: str | None = None


class GeneralPart(_Part):
    """Where the general model is."""

    file: str = Checked(min_length=1)
    digest: str


class _Header(_Part):
    """The header of an adapted model."""

    format: Literal["metai2i adapted model 1", "metai2i adapted model 1 apart from its general model"]
    translator: TranslatorPart
    precision: Precision = "fp32"
    way: str | None = None
    objective: dict[str, Any]
    reference: dict[str, Any]
    spec: SpecPart
    plugin: PluginPart
    origin: dict[str, Any] = Checked(alias="made")
    general: GeneralPart | None = None
    restored_by: str | None = None
    tensors: str | None = None

    @model_validator(mode="after")
    def whole(self) -> _Header:
        """Refuse a scene's own tensors without the general model that they go with."""
        if self.format == APART and self.general is None:
            raise ValueError("it does not say where its general model is")
        return self


class ChosenTranslator(TypedDict):
    """Which translator it is, by name and options."""

    use: str
    options: dict[str, Any]


class GeneralFile(TypedDict):
    """Where the general model is, relative to the scene's file, and its digest."""

    file: str
    digest: str


class ModelRecord(TypedDict):
    """What the file of an adapted model says of itself, which `_Header` reads again.

    `plugin`: the identity of the translator's plugin; `made`: where the model is from (run, row, support); `way`: in
    which the translator is asked unless somebody wishes for another, where the recipe names one.
    """

    format: str
    translator: ChosenTranslator
    precision: Precision
    objective: dict[str, Any]
    reference: dict[str, Any]
    spec: SpecRecord
    plugin: dict[str, str | None]
    made: dict[str, object]
    way: NotRequired[str]
    general: NotRequired[GeneralFile]
    restored_by: NotRequired[str | None]
    tensors: NotRequired[str]


def read_header(about: object) -> _Header:
    """Return the header of an adapted model.

    Raises:
        UserError: when it is that of something else, of another version, or damaged.
    """
    name = about.get("format") if isinstance(about, Mapping) else None
    if name not in (FORMAT, APART):
        raise UserError(f"this is no adapted model: {another(name, about)}")
    try:
        return _Header.model_validate(about)
    except ValidationError as error:
        raise UserError(f"this adapted model is damaged: {first_problem(error, about)}", hint=_writer(about)) from None


def _writer(about: object) -> str | None:
    """Return that another version wrote a model, as a hint."""
    made = about.get("made") if isinstance(about, Mapping) else None
    return other_version(made.get("metai2i")) if isinstance(made, Mapping) else None


def another(name: object, about: object) -> str:
    """Return what a file is that is none of ours, in words."""
    if isinstance(name, str) and name.startswith(FAMILY) and isinstance(about, Mapping):
        origin = about.get("made")
        by = origin.get("metai2i") if isinstance(origin, Mapping) else None
        version = f"metai2i {by}" if isinstance(by, str) else "another version of metai2i"
        return f"its format is {name!r}, written by {version}; this version reads {FORMAT!r}"
    return f"its format is {name!r}, expected {FORMAT!r}" if isinstance(name, str) else "it does not say its format"


def check_support(packed: Mapping[str, Tensor], spec: TaskSpec) -> None:
    """Refuse a support that does not go with the spec, before it is unpacked.

    Args:
        packed: as `metai2i.inference.support_bytes` has it.

    Raises:
        UserError: saying what does not fit.
    """
    photographs = EXEMPLAR if EXEMPLAR in packed and EXEMPLAR in spec.fields else PHOTOGRAPH
    for name in (*(("structure",) if spec.structure_channels else ()), photographs):
        if name not in packed:
            raise UserError(f"this adapted model is damaged: it has no support.{name}")
    counted = packed["structure" if spec.structure_channels else photographs]
    count = counted.shape[0] if counted.dim() else 0
    for name, tensor in packed.items():
        known = spec.known_field(name)
        if known is None:
            raise UserError(f"this adapted model is damaged: support.{name} is no field of its data")
        _check_packed(name, tensor, known, spec, count)


def _check_packed(name: str, tensor: Tensor, known: Field, spec: TaskSpec, count: int) -> None:
    """Refuse a field of a support that is not what it should be."""
    shape, whole = packed_shape(known, spec.size), known.kind != "vector"
    fits = shape is None or tuple(tensor.shape) == (count, *shape)
    if not count or not fits or (whole and (tensor.is_floating_point() or tensor.is_complex())):
        got = f"{tuple(tensor.shape)} of {tensor.dtype}"
        sides = {"photo": "(N, 3, H, W)", "onehot": "(N, H, W)", "ids": "(N, H, W)", "label": "(N,)"}
        raise UserError(
            f"this adapted model is damaged: support.{name} is {got}, expected "
            f"{sides.get(known.kind, '(N, C, H, W)')} of whole numbers for images of {spec.size[0]}x{spec.size[1]}"
        )
    if known.kind not in ("onehot", "ids", "label"):
        return
    low, high = int(tensor.min()), int(tensor.max())
    most = known.channels - 1 if known.kind == "onehot" or known.channels else high
    if low < 0 or high > most:
        what = "classes" if known.kind == "onehot" else "numbers"
        raise UserError(
            f"this adapted model is damaged: support.{name} has the {what} {low} to {high}, expected 0 to {most}"
        )
    values = tensor.numel() * known.channels
    if known.kind == "onehot" and values > _MOST_VALUES:
        raise UserError(
            f"this adapted model is damaged: its support has {values:,} values as one-hot maps, expected at most "
            f"{_MOST_VALUES:,}"
        )


@contextmanager
def no_larger_than(
    tensors: Mapping[str, Tensor], options: str = "its options", where: Path | None = None
) -> Iterator[None]:
    """Refuse, within it, to build a network that is far larger than what a file holds.

    Args:
        tensors: those of the file.
        options: what the network is built by, for the message.
        where: the file, if the message should name it.

    Raises:
        UserError: as soon as more has been registered, before it is initialised.
    """
    counts, values = 0, 0
    most = 10 * len(tensors) + SPARE_TENSORS, 10 * sum(t.numel() for t in tensors.values()) + SPARE_VALUES

    def count(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        nonlocal counts, values
        counts += 1
        values += 0 if tensor is None or isinstance(tensor, _UNKNOWN) else tensor.numel()
        if counts > most[0] or values > most[1]:
            raise UserError(f"{options} ask for a network that is far larger than the one in the file", where=where)

    hooks = (register_module_parameter_registration_hook(count), register_module_buffer_registration_hook(count))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Return a hash of tensors, their names and shapes."""
    hasher = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        hasher.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        hasher.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return hasher.hexdigest()
