"""The stage store: what has been trained once is looked up, not trained again.

A stage is named by the hash of all that determines it and of the stage it builds on. Its folder holds::

    progress.safetensors   the model, the optimiser and the step, replaced atomically while it runs
    log.jsonl              one line per logged step
    model.safetensors      the result
    done.json              the marker, written last: a stage without it is not done
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metai2i.errors import UserError
from metai2i.files import read_json, reason, write_json

log = logging.getLogger("metai2i")


@dataclass(frozen=True)
class Stage:
    """A piece of work that rows may share.

    Args:
        name: "pretrain", "further", "metatrain" or "evaluate".
        determines: everything that decides the result, JSON-able.
        upstream: the stage whose model it starts from.
    """

    name: str
    determines: Mapping[str, Any]
    upstream: Stage | None = None

    @property
    def key(self) -> str:
        """The content address: 16 hexadecimal digits."""
        above = self.upstream.key if self.upstream else None
        text = json.dumps([self.name, self.determines, above], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class StageStore:
    """A folder of stages, shared by any number of runs and processes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, stage: Stage) -> Path:
        """Where a stage lives."""
        return self.root / stage.key

    def done(self, stage: Stage) -> dict[str, Any] | None:
        """What the finished stage says of itself (seconds, iterations, ...); None while it is not done."""
        marker = self.folder(stage) / "done.json"
        return dict(read_json(marker)) if marker.exists() else None

    def begin(self, stage: Stage, *, resume: bool) -> Path:
        """The folder to work in; without `resume`, what an interrupted run has left there is cleared."""
        folder = self.folder(stage)
        leftovers = [path for path in folder.iterdir() if path.name != "lock"] if folder.exists() else []
        if leftovers and not resume:
            log.info("%s: starting over what an interrupted run has left (--resume would go on)", stage.name)
        for path in leftovers:
            if not resume or path.suffix == ".part":  # .part: a file that a killed run was writing
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "stage.json", {"name": stage.name, "determines": json.loads(
            json.dumps(stage.determines, default=str))})  # fmt: skip
        return folder

    def finish(self, stage: Stage, told: Mapping[str, Any]) -> None:
        """Marks a stage as done; everything else of it must be on the disk by now."""
        write_json(self.folder(stage) / "done.json", dict(told))
        (self.folder(stage) / "progress.safetensors").unlink(missing_ok=True)

    @contextmanager
    def lock(self, stage: Stage) -> Iterator[None]:
        """Holds the stage for this process; a second run that wants it waits for the first to finish it."""
        folder = self.folder(stage)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = (folder / "lock").open("w")
        except OSError as error:
            raise UserError(f"cannot write the stage store: {reason(error)}", where=folder,
                            hint="--stages or METAI2I_STAGES names another folder") from error  # fmt: skip
        with file as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go by the system when the process dies
            except BlockingIOError:
                log.info("waiting for another run, which works on the same %s (%s)", stage.name, stage.key)
                fcntl.flock(handle, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(handle, fcntl.LOCK_UN)
