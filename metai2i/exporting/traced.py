"""A translator as a function of tensors, which torch.export can follow: fields by their names, and what it draws.

A translator draws from torch's global generator, which no other program has: each draw becomes an input of its own
(`noise`), of standard normal or uniform numbers, so that the exported model gives what torch gives.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from metai2i.batch import Batch
from metai2i.console.legible import on_one_line
from metai2i.errors import UserError
from metai2i.exporter import ModelContent
from metai2i.inference.exemplars import called
from metai2i.inference.model_file import HALF_A_LEVEL
from metai2i.precision import at_least_single
from metai2i.randomness import Randomness
from metai2i.tasks import TaskSpec
from metai2i.translator import Translator

IMAGE = "image"
"""What the output is called."""
MOST_AT_ONCE = 1024
"""Images that an exported model makes at once, at most."""
NOISE = "noise"
_FRESH: dict[Any, str] = {
    torch.randn: "normal",
    torch.randn_like: "normal",
    torch.rand: "uniform",
    torch.rand_like: "uniform",
}
_IN_PLACE: dict[Any, str] = {torch.Tensor.normal_: "normal", torch.Tensor.uniform_: "uniform"}
"""What a translator may draw by: standard normal numbers, or uniform ones from 0 to 1."""


class Draw(NamedTuple):
    """Something that a translator draws: an input of the exported model.

    Args:
        name: of the input.
        law: "normal" (mean 0, deviation 1) or "uniform" (0 to 1).
        values: that were drawn once, the first dimension that of the batch.
    """

    name: str
    law: str
    values: Tensor


class SymbolicBatch(Batch):
    """A batch whose number of samples stays a symbol while it is followed."""

    def __init__(self, **fields: Tensor) -> None:
        self._fields = fields

    @property
    def size(self) -> int:
        """Return B."""
        return next(iter(self._fields.values())).shape[0]

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with every field changed."""
        return SymbolicBatch(**{name: change(tensor) for name, tensor in self._fields.items()})

    def replace(self, **fields: Tensor) -> Batch:
        """Return the batch with some fields put in or put in the place of others."""
        return SymbolicBatch(**{**self._fields, **fields})


class _Recording(TorchFunctionMode):
    """Keep what is drawn within it."""

    def __init__(self) -> None:
        super().__init__()
        self.draws: list[tuple[str, Tensor]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        values = func(*args, **given)
        if (law := law_of(func, args, given)) is not None:
            self.draws.append((law, values.clone()))
        elif is_dropout(func, args, given):
            raise UserError("it has dropout when it makes images, which no other program draws alike")
        return values


class _Giving(TorchFunctionMode):
    """Give tensors in the place of what is drawn within it, one after the other."""

    def __init__(self, values: Sequence[Tensor]) -> None:
        super().__init__()
        self.values = list(values)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if law_of(func, args, given) is None:
            return func(*args, **given)
        values = self.values.pop(0)
        return args[0].copy_(values) if func in _IN_PLACE else values


def law_of(func: Any, args: Sequence[Any], given: Mapping[str, Any]) -> str | None:
    """Return by which law a call draws from torch's global generator; None where it does not, or by another one."""
    if given.get("generator") is not None:
        return None
    if func in _IN_PLACE:
        return _IN_PLACE[func] if len(args) == 1 and not given else None
    return _FRESH.get(func)


def is_dropout(func: object, args: Sequence[Any], given: Mapping[str, Any]) -> bool:
    """Return whether a call drops values at random."""
    if func is not torch.nn.functional.dropout:
        return False
    share = given.get("p", args[1] if len(args) > 1 else 0.5)
    return bool(given.get("training", args[2] if len(args) > 2 else True)) and share > 0


class Painter(nn.Module):
    """A translator in one way, as a function of its fields and of what it draws, in the order of `names`.

    Args:
        translator: in evaluation mode.
        way: in which it is asked; None for one without ways.
        names: of the inputs.
        fields: how many of them are fields of a batch; the others are draws.
    """

    def __init__(self, translator: Translator, way: str | None, names: Sequence[str], fields: int) -> None:
        super().__init__()
        self.translator, self.way, self.names, self.fields = translator, way, tuple(names), fields

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the images (B, 3, H, W) in [-1, 1]."""
        batch = SymbolicBatch(**dict(zip(self.names, inputs[: self.fields], strict=False)))
        ask: Any = self.translator.translate
        with _Giving(inputs[self.fields :]):
            images: Tensor = ask(batch) if self.way is None else ask(batch, way=self.way)
        return at_least_single(images)


@dataclass(frozen=True)
class Traced:
    """A translator that torch.export has followed.

    Args:
        program: the `torch.export.ExportedProgram`.
        painter: what it was made of.
        names: of the inputs: fields, then draws.
        inputs: two samples of each.
        draws: what it draws.
        any_count: whether it takes any number of images at once; else one.
    """

    program: Any
    painter: Painter
    names: tuple[str, ...]
    inputs: tuple[Tensor, ...]
    draws: tuple[Draw, ...]
    any_count: bool

    def samples(self) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
        """Yield inputs of a different number of images each, with the images that torch makes of them."""
        for places in ([0, 1], [1], [1, 0, 1]) if self.any_count else ([0], [1]):
            inputs = tuple(values[places] for values in self.inputs)
            with torch.no_grad():
                yield inputs, self.painter(*inputs)


def traced(content: ModelContent) -> Traced:
    """Follow a translator with torch.export; for any number of images where it can, else for one.

    Raises:
        UserError: for a translator that cannot be followed, with the reason.
    """
    names = sorted(content.inputs)
    try:
        draws = draws_of(content)
        painter = Painter(content.model.translator, content.way, (*names, *(d.name for d in draws)), len(names)).eval()
        inputs = (*(content.inputs[name] for name in names), *(draw.values for draw in draws))
        with quiet(), torch.no_grad():
            program, any_count = _followed(painter, inputs)
    except Exception as error:
        raise not_exported(content, error) from error
    return Traced(program, painter, painter.names, inputs, draws, any_count)


def draws_of(content: ModelContent) -> tuple[Draw, ...]:
    """Return what a translator draws for two samples.

    Raises:
        UserError: when it has dropout, or what it draws is not for each sample.
    """
    batch, way = SymbolicBatch(**content.inputs), content.way
    ask: Any = content.model.translator.translate
    with Randomness(("export",)).scope(), torch.no_grad(), _Recording() as recording:
        ask(batch) if way is None else ask(batch, way=way)
    single = len(recording.draws) == 1
    draws = [Draw(NOISE if single else f"{NOISE}_{n}", law, values) for n, (law, values) in enumerate(recording.draws)]
    odd = next((draw for draw in draws if draw.values.ndim == 0 or draw.values.shape[0] != batch.size), None)
    if odd is not None:
        raise UserError(f"it draws {tuple(odd.values.shape)} for {batch.size} samples, expected {batch.size} of each")
    return tuple(draws)


def _followed(painter: Painter, inputs: tuple[Tensor, ...]) -> tuple[Any, bool]:
    """Return the exported program, and whether it takes any number of images."""
    count = torch.export.Dim("batch", min=1, max=MOST_AT_ONCE)
    try:
        shapes = (tuple({0: count} for _ in inputs),)
        return torch.export.export(painter, inputs, dynamic_shapes=shapes, strict=False), True
    except Exception:
        return torch.export.export(painter, tuple(values[:1] for values in inputs), strict=False), False


def not_exported(content: ModelContent, error: Exception) -> UserError:
    """Return that a model cannot be exported, and why."""
    what = error.what if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    lines = [line for line in what.strip().splitlines() if line.strip()]
    why = on_one_line(lines[0] if lines else type(error).__name__)[:300]
    ways = [way for way in content.model.translator.ways if way != content.way]
    hint = f"--way {ways[0]} may do" if ways else "whatever it computes has to be computed by torch, on tensors alone"
    return UserError(f"{called(content.model, content.way)} cannot be exported: {why}", hint=hint)


def check_same(content: ModelContent, expected: Tensor, got: Tensor, by: str) -> None:
    """Refuse an exported model that paints other images.

    Args:
        expected: what torch makes, (B, 3, H, W) in [-1, 1].
        got: what the exported model makes of the same.
        by: what it runs in.

    Raises:
        UserError: when a value differs by more than half a grey level of 255, with how much it is.
    """
    if got.shape != expected.shape:
        raise not_exported(content, UserError(f"{by} makes {tuple(got.shape)} of it, torch {tuple(expected.shape)}"))
    off = (got.float() - expected.float()).abs().max().item()
    if not off <= HALF_A_LEVEL:
        what = f"{by} paints images that differ from torch's by up to {off * 127.5:.2f} grey levels of 255"
        raise not_exported(content, UserError(what))


def facts(content: ModelContent, traced: Traced) -> dict[str, Any]:
    """Return what somebody who runs the model has to know of its inputs and its output, as JSON-able data."""
    spec, about = content.model.spec, content.model.about
    fields = {name: field_facts(spec, name) for name in traced.names[: traced.painter.fields]}
    drawn = {draw.name: {"kind": f"{draw.law} numbers", "shape": list(draw.values.shape[1:])} for draw in traced.draws}
    return {
        "format": "metai2i exported model 1",
        "translator": about["translator"]["use"],
        "way": content.way,
        "size": list(spec.size),
        "inputs": {**fields, **drawn},
        "output": {IMAGE: {"kind": "photo", "channels": 3, "low": -1.0, "high": 1.0}},
        "images at once": "any number" if traced.any_count else 1,
        "adapted from": {key: about["made"].get(key) for key in ("recipe", "row", "stage", "metai2i")},
    }


def field_facts(spec: TaskSpec, name: str) -> dict[str, Any]:
    """Return what a field is, for people and programs."""
    known = spec.field(name)
    said: dict[str, Any] = {"kind": known.kind, "channels": known.channels or (3 if known.kind == "photo" else 0)}
    if known.lowest is not None:
        said |= {"low": known.lowest, "high": 1.0}
    if known.names:
        said["names"] = list(known.names)
    if known.palette:
        said["palette"] = [list(colour) for colour in known.palette]
    return said


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the remarks of torch's exporters to themselves, which speak of their insides."""
    import logging

    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
