"""The loop that all training stages share: steps, progress, a log, and a checkpoint from which it can go on."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from metai2i.console.consoles import PlainConsole
from metai2i.distributed.processes import ALONE, Processes
from metai2i.errors import UserError
from metai2i.files import append_line, write_text
from metai2i.guards.faults import user_errors_from
from metai2i.guards.system import forget_peak_of_process, peak_of_process
from metai2i.training.averages import Averages
from metai2i.training.checkpoint import load, optimizer_tensors, part, prefixed, restore_optimizer, save
from metai2i.training.passes import Passes, load_weights
from metai2i.training.progress import StageProgress, by_player
from metai2i.training.stage_records import DoneRecord
from metai2i.training.start_weights import StartWeights, left_out_of

if TYPE_CHECKING:
    from metai2i.training.on_the_way import ImagesOnTheWay, WatchedScenes

log = logging.getLogger("metai2i")

SAVE_EVERY = 20.0
"""Seconds between two checkpoints, unless writing one takes longer than a second."""
LOG_POINTS = 200
"""How many points a loss curve has."""
SEEN_BY_ALL = "processes on several machines need a stage store that all of them see"


@dataclass(frozen=True)
class StageContext:
    """Where and how a stage is worked on.

    Args:
        folder: the stage's folder in the store.
        title: what the user reads while it runs.
        device: where the networks live.
        processes: who works on it.
        key: the stage's, which its checkpoints carry.
        begun: what the training began with, if it was not drawn: files leave out what has stayed so.
        watched: the scenes of which images are made at intervals; None for no such images.
    """

    folder: Path
    title: str
    device: torch.device
    processes: Processes = ALONE
    key: str = ""
    begun: StartWeights | None = None
    watched: WatchedScenes | None = None

    def progress(self, total: int, start: int = 0) -> StageProgress:
        """Return what the user sees of it, by way of the first process."""
        return StageProgress(self.title, total, start, None if self.processes.first else PlainConsole(quiet=True))


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

    A checkpoint that is damaged or that of another stage counts as none.

    Raises:
        UserError: when a loss is not finite, the last checkpoint is then kept; or when not all processes see it.
    """
    checkpoint = place.folder / "progress.safetensors"
    curve = Log(place.folder / "log.jsonl", max(1, total // LOG_POINTS))
    kept_modules = {**modules, **({} if average is None else {"average": average})}
    start, spent, window = restore(place, checkpoint, kept_modules, optimizer)
    if len(set(place.processes.gather(start))) > 1:
        raise UserError("not all processes see the checkpoint", where=checkpoint, hint=SEEN_BY_ALL)
    if place.processes.first:
        curve.rewind(start, window)
    forget_peak(place.device)
    began = saved = time.monotonic()
    writing, last = 0.0, start
    with place.progress(total, start) as bar:
        for i in range(start, total):
            which = f"of step {last} " if place.processes.first else ""
            kept = f"the checkpoint {which}is kept" if checkpoint.exists() else None
            with user_errors_from(f"{place.title}, step {i}", place.folder, kept):
                if passes is not None:
                    passes.at(i)
                if images is not None and place.processes.first:
                    images.look(i)
                losses = values(one_step(i))
            if average is not None:
                average.follow()
            if not place.processes.first:
                continue
            curve.add(i, losses)
            bar.advance(i + 1, by_player(losses))
            if time.monotonic() - saved > SAVE_EVERY * max(1.0, writing) and i + 1 < total:
                now = time.monotonic()
                state = {"stage": place.key, "step": i + 1, "seconds": spent + now - began, "window": curve.window}
                _keep(place, checkpoint, kept_modules, optimizer, state)
                saved, last = time.monotonic(), i + 1
                writing = saved - now  # a slow disk makes it rarer: seconds to write, times SAVE_EVERY
    if images is not None and place.processes.first:
        images.look(total, last=True)
    seconds = spent + time.monotonic() - began
    trained = {} if average is None else average.exchange()
    if passes is not None:
        with user_errors_from(f"{place.title}, after the last step", place.folder):
            passes.at(total)
    if place.processes.first:
        weights = {**tensors_of(modules), **prefixed("trained", trained)}
        _write(place, place.folder / "model.safetensors", weights, {"step": total})
    peak = largest(place.processes.gather(peak_memory(place.device)))
    return DoneRecord(iterations=total, seconds=round(seconds, 3), peak_memory_mib=peak)


def values(losses: Mapping[str, Tensor]) -> dict[str, float]:
    """Return scalars as numbers, fetched from a GPU all at once."""
    if not losses:
        return {}
    homes = {value.device for value in losses.values()}
    if len(homes) > 1:
        return {name: value.item() for name, value in losses.items()}
    fetched = torch.stack([value.reshape(()).double() for value in losses.values()]).tolist()
    return dict(zip(losses, fetched, strict=True))


def tensors_of(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Return all modules' parameters and buffers under "MODULE.NAME"."""
    return {k: v for name, module in modules.items() for k, v in prefixed(name, module.state_dict()).items()}


def _keep(
    place: StageContext,
    path: Path,
    modules: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    state: Mapping[str, object],
) -> None:
    """Write the checkpoint from which a killed stage goes on."""
    _write(place, path, {**tensors_of(modules), **prefixed("optimizer", optimizer_tensors(optimizer))}, state)


def _write(place: StageContext, path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, object]) -> None:
    """Write tensors, without those that still are what the training began with: whose they are stands in the state."""
    if place.begun is not None:
        left = place.begun.unchanged(tensors)
        tensors = {name: tensor for name, tensor in tensors.items() if name not in set(left)}
        state = {**state, **place.begun.left_out(left)}
    save(path, tensors, state)


def restore(
    place: StageContext, path: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
) -> tuple[int, float, Window]:
    """Put a checkpoint back; return the steps and seconds behind it, and the losses that no line of the log has yet;
    none where there is none that can be used.
    """
    if not path.exists():
        return 0, 0.0, {}
    try:
        tensors, state = load(path)
        step, seconds = step_of(state, place.key)
        left = left_out_of(state)
        if left is not None and place.begun is not None:
            tensors = {**tensors, **place.begun.tensors(left[1])}
    except UserError as error:
        if place.processes.first:
            log.warning("%s: %s; starting over at step 0", place.title, UserError(error.what, where=error.where))
        return 0, 0.0, {}
    for name, module in modules.items():
        load_weights(module, part(name, tensors))
    restore_optimizer(optimizer, part("optimizer", tensors))
    return step, seconds, cast(dict[str, Any], state).get("window", {})


def step_of(state: object, key: str) -> tuple[int, float]:
    """Return the steps and seconds behind a checkpoint, by its state.

    Raises:
        UserError: when it is no checkpoint of the stage.
    """
    if not isinstance(state, dict) or state.get("stage") != key:
        raise UserError("the checkpoint is that of another stage")
    return int(state["step"]), float(state["seconds"])


Window = Mapping[str, Sequence[float]]
"""Losses of the steps since the last line of a log, by name."""


class Log:
    """`log.jsonl` of a stage: a line for every `every` steps, with the means of the losses since the last."""

    def __init__(self, path: Path, every: int) -> None:
        self.path, self.every = path, every
        self.window: dict[str, list[float]] = {}
        self.since = time.monotonic()
        self.steps = 0

    def rewind(self, step: int, window: Window) -> None:
        """Drop the lines of steps that will be done again, and what is no line of a log.

        Args:
            window: the losses behind the last line, up to the step.
        """
        self.window = {name: list(values) for name, values in window.items()}
        try:
            text = self.path.read_bytes().decode(errors="replace")
        except FileNotFoundError:
            text = ""
        whole = text[: text.rfind("\n") + 1].splitlines()  # a killed run may have left a last line without its end
        steps = [logged_step(line) for line in whole]
        if None in steps:
            log.warning("%s: left out %d lines that are none of a log", self.path, steps.count(None))
        kept = [line for line, at in zip(whole, steps, strict=True) if at is not None and at <= step]
        write_text(self.path, "".join(f"{line}\n" for line in kept))

    def add(self, index: int, losses: Mapping[str, float]) -> None:
        """Take in one step's losses."""
        self.steps += 1
        for name, value in losses.items():
            self.window.setdefault(name, []).append(value)
        if (index + 1) % self.every == 0:
            means = {name: sum(values) / len(values) for name, values in self.window.items()}
            rate = self.steps / max(time.monotonic() - self.since, 1e-9)
            append_line(self.path, json.dumps({"step": index + 1, "losses": means, "rate": round(rate, 3)}))
            self.window.clear()
            self.since, self.steps = time.monotonic(), 0


def logged_step(line: str) -> int | None:
    """Return the step of a line of a log; None for what is no such line."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    step = record.get("step") if isinstance(record, dict) and isinstance(record.get("losses"), dict) else None
    return step if isinstance(step, int) else None


def forget_peak(device: torch.device) -> None:
    """Start measuring the peak anew; where the system cannot, it stays that of the whole process."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        forget_peak_of_process()


def peak_memory(device: torch.device) -> float | None:
    """Return the most memory, in MiB, held since `forget_peak`: by torch on a GPU, by the whole process on a CPU.

    It is None where the system does not say.
    """
    peak = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else peak_of_process()
    return None if peak is None else round(peak, 1)


def largest(peaks: Iterable[float | None]) -> float | None:
    """Return the largest of what was measured; None where nothing was."""
    return max((peak for peak in peaks if peak is not None), default=None)
