"""Training steps that are recorded once and replayed: on a GPU as a CUDA graph, without Python in between.

A step of these networks is a thousand short kernels, which a GPU computes faster than Python can ask for them. A
translator whose steps are all alike says so (`Translator.replayable`). Then plain training records its step
(`RecordedStep`), and an inner loop that comes again the step of one copy in which every scene is adapted
(`InnerLoops`). On a CPU nothing is gained by it and nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.training.driving import NonFinite, are_finite, checked_moves, descend, named, total_of, whose
from metai2i.translator import Step, Translator

WARM = 3
"""Steps before one is recorded, as CUDA graphs need: libraries choose their algorithms in them."""
MOST_RECORDINGS = 4
"""Inner loops that are kept recorded, each with a copy of the networks and of the optimiser's state."""


def replays(translator: Translator, device: torch.device) -> bool:
    """Return whether a translator's training steps are replayed rather than run."""
    return device.type == "cuda" and translator.replayable


class RecordedStep:
    """One training step on a batch of its own, for batches of one shape.

    Numbers that are not finite cannot be refused before the update that they cause; they are noticed by `check`.

    Args:
        translator: whose step it is; it and the optimiser are as they were once it has been recorded.
        optimizer: over its players; on a GPU it must be capturable.
        example: a batch of the shapes to come.
        step: the phase, and whether it is in an inner loop.
        clip: the largest norm that the gradient of a move may have.
        still: players that do not move.
    """

    def __init__(
        self,
        translator: Translator,
        optimizer: torch.optim.Optimizer,
        example: Batch,
        step: Step,
        clip: float | None = None,
        still: Sequence[str] = (),
    ) -> None:
        self.translator, self.optimizer = translator, optimizer
        self.losses: dict[str, Tensor] = {}
        """The losses of the last step, overwritten by the next one."""
        self._batch = example.map(Tensor.clone)
        self._bad = torch.zeros((), device=next(iter(example.values())).device)
        self._step, self._still = step, still
        self._update = descend(translator, optimizer, clip, check=self._note)
        self._run = self._recorded()

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Take the step on a batch; return the losses, as `drive` does, until the next call."""
        for name, buffer in self._batch.items():
            buffer.copy_(batch[name], non_blocking=True)
        self._run()
        return self.losses

    def check(self) -> None:
        """Look whether all numbers since the last look were finite.

        Raises:
            NonFinite: when they were not; the networks are then spoilt.
        """
        if self._bad.item():
            self._bad.zero_()
            wrong = [name for name, value in self.losses.items() if not torch.isfinite(value)]
            what = f"the loss terms {', '.join(wrong)} are" if wrong else "a gradient is"
            hint = f"{whose(self.translator)}lower the learning rate or the terms' weights, or set clip"
            raise NonFinite(f"{what} not finite", hint=hint)

    def _body(self) -> None:
        losses_by_term: dict[str, Tensor] = {}
        for players, losses in checked_moves(self.translator, self._batch, self._step):
            losses_by_term |= named(players, losses)
            moving = [player for player in players if player not in self._still]
            if moving:
                self._update(moving, total_of(losses))
        self._bad += ~torch.isfinite(torch.stack([value.reshape(()) for value in losses_by_term.values()])).all()
        self.losses = losses_by_term

    def _note(self, players: Sequence[str], parameters: Iterable[Tensor]) -> None:
        self._bad += ~are_finite([p.grad for p in parameters if p.grad is not None])

    def _recorded(self) -> Callable[[], None]:
        """Return the step as a function; on a GPU what `_body` asked of it."""
        self.translator.train()
        if self._bad.device.type != "cuda":
            return self._body
        networks = [tensor.clone() for tensor in weights(self.translator)]
        optimizer = {where: tensor.clone() for where, tensor in state_tensors(self.optimizer).items()}
        stream = torch.cuda.Stream(self._bad.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(self._bad.device))
        with torch.cuda.stream(stream):
            for _ in range(WARM):
                self._body()
        torch.cuda.current_stream(self._bad.device).wait_stream(stream)
        # Written anew: features kept of it must be computed in the recording as well.
        for buffer in self._batch.values():
            buffer.copy_(buffer.clone())
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._body()
        copy_all(weights(self.translator), networks)
        reset_state(self.optimizer, optimizer)
        self._bad.zero_()
        return graph.replay


class InnerLoops:
    """The recorded inner loops of a translator and of all its copies.

    The first time an inner loop is asked for there is no recording, which would cost more than it gives if the loop
    never came again.
    """

    def __init__(self) -> None:
        self._seen: set[Hashable] = set()
        self._loops: dict[Hashable, RecordedStep] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> InnerLoops:
        return self

    @staticmethod
    def of(translator: Translator) -> InnerLoops:
        """Return those that it shares with its copies."""
        loops: InnerLoops = translator.__dict__.setdefault("_inner_loops", InnerLoops())
        return loops

    def find(self, wanted: Hashable, record: Callable[[], RecordedStep]) -> RecordedStep | None:
        """Return the recorded loop; None when it is asked for the first time.

        Args:
            wanted: all in which loops of this translator differ, shapes of batches included.
            record: makes it.
        """
        if wanted not in self._seen:
            self._seen.add(wanted)
            return None
        if wanted not in self._loops:
            while len(self._loops) >= MOST_RECORDINGS:
                del self._loops[next(iter(self._loops))]
            self._loops[wanted] = record()
        return self._loops[wanted]


def follow(loop: RecordedStep, gp: Translator, batches: Iterable[Batch], copy: Translator) -> None:
    """Adapt a copy of the general model by a recorded inner loop, which begins with fresh state of its optimiser.

    Raises:
        NonFinite: when a loss or a gradient was not finite.
    """
    for group in loop.optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None
    copy_all(weights(loop.translator), weights(gp))
    for tensor in state_tensors(loop.optimizer).values():
        tensor.zero_()
    for batch in batches:
        loop(batch)
    loop.check()
    copy_all(weights(copy), weights(loop.translator))


@torch.no_grad()
def copy_all(to: Sequence[Tensor], those: Sequence[Tensor]) -> None:
    """Copy tensors into others, in as few kernels as there are dtypes."""
    if to:
        torch._foreach_copy_(list(to), list(those))


def weights(translator: Translator) -> list[Tensor]:
    """Return parameters and buffers."""
    return [*(p.data for p in translator.parameters()), *translator.buffers()]


def state_tensors(optimizer: torch.optim.Optimizer) -> dict[tuple[int, str], Tensor]:
    """Return the tensors of an optimiser's state, by the parameter's number and their name."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return {
        (n, name): value
        for n, parameter in enumerate(parameters)
        for name, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def reset_state(optimizer: torch.optim.Optimizer, before: Mapping[tuple[int, str], Tensor]) -> None:
    """Give an optimiser the state that it had; what was not there before the first step begins at zero.

    Args:
        before: copies of its `state_tensors`.
    """
    for where, tensor in state_tensors(optimizer).items():
        tensor.copy_(before[where] if where in before else torch.zeros_like(tensor))


def shapes(batch: Batch) -> tuple[tuple[str, torch.Size, torch.dtype], ...]:
    """Return what two batches must share to go through one recording."""
    return tuple((name, tensor.shape, tensor.dtype) for name, tensor in sorted(batch.items()))
