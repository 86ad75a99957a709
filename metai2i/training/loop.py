"""The loop that all training stages share: steps, progress, a log, and a checkpoint from which it can go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from metai2i.guards.faults import user_errors_from
from metai2i.training.averages import Averages
from metai2i.training.checkpoint import prefixed
from metai2i.training.file_names import LOG
from metai2i.training.loss_log import LossLog
from metai2i.training.passes import Passes
from metai2i.training.peaks import forget_peak, largest, peak_memory
from metai2i.training.progress import by_player
from metai2i.training.stage_checkpoint import Behind, StageCheckpoint, tensors_of
from metai2i.training.stage_context import StageContext
from metai2i.training.stage_records import DoneRecord

if TYPE_CHECKING:
    from metai2i.training.on_the_way import ImagesOnTheWay

SAVE_EVERY = 20.0
"""Seconds between two checkpoints, unless writing one takes longer than a second."""
LOG_POINTS = 200
"""How many points a loss curve has."""


def train(
    place: StageContext,
    modules: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    total: int,
    one_step: Callable[[int], Mapping[str, Tensor]],
    average: Averages | None = None,
    passes: Passes | None = None,
    images: ImagesOnTheWay | None = None,
) -> DoneRecord:
    """Run `one_step` for 0..total-1, going on from the folder's checkpoint if there is one.

    All processes take all steps, and the first one writes.

    Args:
        modules: what is trained, by the names under which it is saved.
        one_step: does the step and returns the losses to log, as scalars.
        average: follows its translator after each step, and is saved in its place at the end, with the weights that it
            was made of beside it, under "trained".
        passes: over all data, before and after phases.
        images: are made of the model as it is, at intervals.

    Returns:
        What the stage's marker says: iterations, seconds, peak memory.

    Raises:
        UserError: when a loss is not finite, the last checkpoint is then kept; or when not all processes see it.
    """
    first = place.processes.first
    images = images if first else None
    checkpoint = StageCheckpoint(place, {**modules, **({} if average is None else {"average": average})}, optimizer)
    curve = LossLog(place.folder / LOG, max(1, total // LOG_POINTS))
    behind = checkpoint.restore()
    if first:
        curve.rewind(behind.steps, behind.window)
    forget_peak(place.device)
    sitting = _Sitting(checkpoint, behind)
    with place.progress(total, behind.steps) as bar:
        for i in range(behind.steps, total):
            with user_errors_from(f"{place.title}, step {i}", place.folder, sitting.kept):
                if passes is not None:
                    passes.at(i)
                if images is not None:
                    images.look(i)
                losses = values(one_step(i))
            if average is not None:
                average.follow()
            if first:
                curve.add(i, losses)
                bar.advance(i + 1, by_player(losses))
                if i + 1 < total:
                    sitting.keep_if_due(i + 1, curve)
    if images is not None:
        images.look(total, last=True)
    seconds = sitting.seconds
    trained = {} if average is None else average.exchange()
    if passes is not None:
        with user_errors_from(f"{place.title}, after the last step", place.folder):
            passes.at(total)
    if first:
        checkpoint.finish({**tensors_of(modules), **prefixed("trained", trained)}, total)
    peak = largest(place.processes.gather(peak_memory(place.device)))
    return DoneRecord(iterations=total, seconds=round(seconds, 3), peak_memory_mib=peak)


class _Sitting:
    """One sitting of a stage: how long it has worked, and when the next checkpoint is due.

    Args:
        checkpoint: what is written.
        behind: what earlier sittings did.
    """

    def __init__(self, checkpoint: StageCheckpoint, behind: Behind) -> None:
        self.checkpoint, self.before = checkpoint, behind.seconds
        self.began = self.saved = time.monotonic()
        self.writing, self.last = 0.0, behind.steps

    @property
    def seconds(self) -> float:
        """Return how long the stage has taken, over all sittings."""
        return self.before + time.monotonic() - self.began

    @property
    def kept(self) -> str | None:
        """Return what is told of the checkpoint where a step fails; None where there is none."""
        which = f"of step {self.last} " if self.checkpoint.place.processes.first else ""
        return f"the checkpoint {which}is kept" if self.checkpoint.path.exists() else None

    def keep_if_due(self, steps: int, curve: LossLog) -> None:
        """Write a checkpoint, if the last one is old enough."""
        if time.monotonic() - self.saved <= SAVE_EVERY * max(1.0, self.writing):
            return
        started = time.monotonic()
        self.checkpoint.keep(Behind(steps, self.seconds, curve.window))
        self.saved, self.last = time.monotonic(), steps
        self.writing = self.saved - started  # a slow disk makes it rarer: seconds to write, times SAVE_EVERY


def values(losses: Mapping[str, Tensor]) -> dict[str, float]:
    """Return scalars as numbers, fetched from a GPU all at once."""
    if not losses:
        return {}
    homes = {value.device for value in losses.values()}
    if len(homes) > 1:
        return {name: value.item() for name, value in losses.items()}
    fetched = torch.stack([value.reshape(()).double() for value in losses.values()]).tolist()
    return dict(zip(losses, fetched, strict=True))
