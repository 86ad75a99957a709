"""`StageContext`: where and how a stage is worked on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from metai2i.console.consoles import PlainConsole
from metai2i.distributed.processes import ALONE, Processes
from metai2i.training.progress import StageProgress
from metai2i.training.start_weights import StartWeights

if TYPE_CHECKING:
    from metai2i.training.on_the_way import WatchedScenes

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

    def progress(self, total: int, start: int = 0, part: str = "") -> StageProgress:
        """Return what the user sees of it, or of a part of it, by way of the first process."""
        title = f"{self.title}, {part}" if part else self.title
        return StageProgress(title, total, start, None if self.processes.first else PlainConsole(quiet=True))
