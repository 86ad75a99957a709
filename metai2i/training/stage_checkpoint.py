"""`StageCheckpoint`: the file from which a killed stage goes on, and that in which it leaves its weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from metai2i.errors import UserError
from metai2i.locks import check_held
from metai2i.training.checkpoint import load, optimizer_tensors, part, prefixed, restore_optimizer, save
from metai2i.training.file_names import PROGRESS, WEIGHTS
from metai2i.training.loss_log import Window
from metai2i.training.passes import load_weights
from metai2i.training.stage_context import SEEN_BY_ALL, StageContext
from metai2i.training.start_weights import left_out_of

log = logging.getLogger("metai2i")


class Behind(NamedTuple):
    """What of a stage is done.

    Args:
        steps: so many are.
        seconds: that they took, over all sittings.
        window: the losses of steps that no line of the log has yet.
    """

    steps: int = 0
    seconds: float = 0.0
    window: Window = MappingProxyType({})


class StageCheckpoint:
    """What a stage writes into its folder.

    Args:
        place: the stage's.
        modules: what the checkpoint holds, by the names under which it is saved.
        optimizer: whose state it holds.
    """

    def __init__(self, place: StageContext, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> None:
        self.place, self.modules, self.optimizer = place, modules, optimizer
        self.path = place.folder / PROGRESS

    def restore(self) -> Behind:
        """Put it back; one that is damaged or that of another stage counts as none.

        Raises:
            UserError: when not all processes see it.
        """
        behind = self._restore()
        if len(set(self.place.processes.gather(behind.steps))) > 1:
            raise UserError("not all processes see the checkpoint", where=self.path, hint=SEEN_BY_ALL)
        return behind

    def keep(self, behind: Behind) -> None:
        """Write it."""
        tensors = {**tensors_of(self.modules), **prefixed("optimizer", optimizer_tensors(self.optimizer))}
        done = {"step": behind.steps, "seconds": behind.seconds, "window": behind.window}
        self._write(PROGRESS, tensors, {"stage": self.place.key, **done})

    def finish(self, tensors: Mapping[str, Tensor], steps: int) -> None:
        """Write what the stage leaves to those that follow."""
        self._write(WEIGHTS, tensors, {"step": steps})

    def _write(self, file: str, tensors: Mapping[str, Tensor], state: Mapping[str, object]) -> None:
        """Write tensors, without those that still are what the training began with: whose they are stands in the
        state.

        Raises:
            UserError: when another machine has taken the stage over.
        """
        check_held(self.place.folder / "lock")
        begun = self.place.begun
        if begun is not None:
            left = begun.unchanged(tensors)
            unchanged = set(left)
            tensors = {name: tensor for name, tensor in tensors.items() if name not in unchanged}
            state = {**state, **begun.left_out(left)}
        save(self.place.folder / file, tensors, state)

    def _restore(self) -> Behind:
        place = self.place
        if not self.path.exists():
            return Behind()
        try:
            tensors, state = load(self.path)
            behind = behind_of(state, place.key)
            left = left_out_of(state)
            if left is not None and place.begun is not None:
                tensors = {**tensors, **place.begun.tensors(left[1])}
        except UserError as error:
            if place.processes.first:
                log.warning("%s: %s; starting over at step 0", place.title, UserError(error.what, where=error.where))
            return Behind()
        for name, module in self.modules.items():
            load_weights(module, part(name, tensors))
        restore_optimizer(self.optimizer, part("optimizer", tensors))
        return behind


def behind_of(state: object, key: str) -> Behind:
    """Return what is done of a stage, by the state of a checkpoint.

    Raises:
        UserError: when it is no checkpoint of the stage.
    """
    if not isinstance(state, dict) or state.get("stage") != key:
        raise UserError("the checkpoint is that of another stage")
    return Behind(int(state["step"]), float(state["seconds"]), cast(Window, state.get("window", {})))


def tensors_of(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Return all modules' parameters and buffers under "MODULE.NAME"."""
    return {k: v for name, module in modules.items() for k, v in prefixed(name, module.state_dict()).items()}
