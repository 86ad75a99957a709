"""Passes over all training data, which a translator may make before and after each of its phases.

What it gathers in them (codes of all photographs, class frequencies, a mean style) stands in buffers, which belong to
the stage: they are in its checkpoints and in its result. So a resumed stage finds them there, and a pass that stands
exactly where a stage goes on is made again, from the same weights.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from metai2i.batch import Batch
from metai2i.errors import UserError
from metai2i.guards.same_values import same_values
from metai2i.meta.plain_state import changed_names, plain_state
from metai2i.randomness import Randomness
from metai2i.registry.discovery import label_of
from metai2i.tasks import Task
from metai2i.translator import Translator

SAMPLES_IN_PASS = 8
"""Samples in a batch of a pass."""
Hook = Literal["begin", "end"]
_HOOKS: tuple[Hook, Hook] = ("begin", "end")


def makes_passes(translator: Translator) -> bool:
    """Return whether a translator looks through all data before or after its phases."""
    return any(getattr(type(translator), hook) is not getattr(Translator, hook) for hook in _HOOKS)


class Passes:
    """The passes of one stage.

    Args:
        translator: that makes them.
        tasks: all training scenes.
        phases: (name, end, begin) of those that the stage goes through, in their order.
        rng: the stage's address.
        device: where batches are wanted.
    """

    def __init__(
        self,
        translator: Translator,
        tasks: Sequence[Task],
        phases: Sequence[tuple[str, int, int]],
        rng: Randomness,
        device: torch.device,
    ) -> None:
        self.translator, self.tasks, self.rng, self.device = translator, tasks, rng, device
        self._due: dict[int, list[tuple[Hook, str]]] = defaultdict(list)
        for name, end, begin in phases if makes_passes(translator) else ():
            self._due[begin].append(("begin", name))
            self._due[end].append(("end", name))

    def at(self, step: int) -> None:
        """Make the passes that are due before a step; with the number of steps, those after the last.

        Raises:
            UserError: when the translator keeps what it gathers where it is not saved.
        """
        for hook, phase in self._due.get(step, ()):
            checked_pass(self.translator, hook, phase, self.tasks, self.rng.at(hook, phase), self.device)


def make_pass(
    translator: Translator, hook: Hook, phase: str, tasks: Sequence[Task], rng: Randomness, device: torch.device
) -> None:
    """Let a translator look through all data once, in evaluation mode.

    Args:
        hook: `begin` or `end`.
        phase: before or after which it is.
        tasks: all training scenes.
        rng: from which torch's global generator is seeded.
        device: where batches are wanted.
    """
    translator.eval()
    with rng.scope():
        getattr(translator, hook)(phase, partial(all_samples_of, tasks, device))


def checked_pass(
    translator: Translator, hook: Hook, phase: str, tasks: Sequence[Task], rng: Randomness, device: torch.device
) -> None:
    """Let a translator look through all data once; the arguments are those of `make_pass`.

    Raises:
        UserError: when it keeps what it gathers where it is not saved.
    """
    before = plain_state(translator), unsaved(translator)
    make_pass(translator, hook, phase, tasks, rng, device)
    refuse_unsaved(translator, hook, *before)


def all_samples_of(tasks: Sequence[Task], device: torch.device) -> Iterator[Batch]:
    """Yield all samples of some scenes in their order, as they are on the disk, a few at a time."""
    for task in tasks:
        for at in range(0, len(task), SAMPLES_IN_PASS):
            yield task.load(range(at, min(at + SAMPLES_IN_PASS, len(task)))).to(device)


def refuse_unsaved(translator: Translator, hook: Hook, plain: Mapping[str, str], buffers: Mapping[str, Tensor]) -> None:
    """Refuse a pass whose harvest would be lost when the model is saved or the stage resumed.

    Args:
        hook: that made the pass.
        plain: the plain state before it.
        buffers: what `unsaved` gave before it.

    Raises:
        UserError: naming the attributes.
    """
    who = f"{hook} of {type(translator).__name__} ({label_of(type(translator))})"
    cure = "fill a buffer (register_buffer), which may change its size, or a parameter"
    if names := changed_names(plain, plain_state(translator)):
        what = f"the plain attribute{'s' if len(names) > 1 else ''} {', '.join(map(repr, names))}"
        raise UserError(f"{who} keeps what it gathers in {what}, which is lost when the model is saved", hint=cure)
    after = unsaved(translator)
    names = sorted(name for name, tensor in after.items() if not same_values(buffers.get(name), tensor))
    if names:
        what = f"{who} fills the buffer {names[0]!r}, which is not saved"
        raise UserError(what, hint="register it without persistent=False")
    graph = next((name for name, tensor in translator.named_buffers() if tensor.requires_grad), None)
    if graph is not None:
        raise UserError(f"{who} leaves a graph in the buffer {graph!r}", hint="use torch.no_grad()")


def unsaved(translator: Translator) -> dict[str, Tensor]:
    """Return copies of the buffers that are not saved with a translator."""
    saved = translator.state_dict().keys()
    return {name: tensor.detach().clone() for name, tensor in translator.named_buffers() if name not in saved}


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put parameters and buffers in their places; the buffers of a translator that makes passes take the sizes that
    they have there.

    Raises:
        RuntimeError: when they are those of another network.
    """
    if isinstance(module, Translator) and makes_passes(module):
        _take_sizes(module, tensors)
    module.load_state_dict(dict(tensors))


def _take_sizes(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    home = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    modules: dict[str, Any] = dict(module.named_modules())
    for name, tensor in tensors.items():
        path, _, leaf = name.rpartition(".")
        buffers = modules[path]._buffers if path in modules else {}
        if leaf in buffers and (buffers[leaf] is None or buffers[leaf].shape != tensor.shape):
            dtype = tensor.dtype if buffers[leaf] is None else buffers[leaf].dtype
            buffers[leaf] = torch.empty(tensor.shape, dtype=dtype, device=home)
