"""How far the stages are that others work on, read off the stage store: a bar each, as when one process works."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from metai2i.console.consoles import console
from metai2i.executors.graph import Job
from metai2i.training.progress import StageProgress, by_player, stage_bars


class Board:
    """A context in which the stages of a graph are watched.

    Args:
        graph: jobs by their keys.
    """

    def __init__(self, graph: Mapping[str, Job]) -> None:
        self.graph = graph
        self.console = console()
        self.bars = stage_bars(self.console)
        self.shown: dict[str, StageProgress] = {}
        self.before: dict[str, int | None] = {}

    def __enter__(self) -> Board:
        self.bars.start()
        self.total = StageProgress("all stages", len(self.graph), to=self.console, among=self.bars)
        self.total.__enter__()
        return self

    def update(self, handed_in: Iterable[Job], done: set[str]) -> None:
        """Show the jobs that are worked on; one that waits for its turn is not shown yet."""
        running = {job.key: job for job in handed_in}
        for key in [*self.shown]:
            if key not in running:
                bar = self.shown.pop(key)
                if key in done and bar.done < bar.total:
                    bar.advance(bar.total)
                bar.__exit__(None, None, None)
        for key in [*self.before]:
            if key not in running:
                del self.before[key]
        for key, job in running.items():
            written = _written(job.folder)
            if self.before.setdefault(key, written) == written and key not in self.shown:
                continue  # nobody has begun it since it was handed in
            step, note = progress_of(job)
            if key not in self.shown:
                self.shown[key] = StageProgress(job.title, job.iterations, step, self.console, among=self.bars)
                self.shown[key].__enter__()
            self.shown[key].advance(step, note)
        if len(done) != self.total.done:
            self.total.advance(len(done))

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, trace: TracebackType | None) -> None:
        self.bars.stop()


def progress_of(job: Job) -> tuple[int, str]:
    """Return the steps, trials or scenes of a stage that are behind, and what its losses are, as far as is seen."""
    if job.stage == "evaluate":
        return len(list(job.folder.glob("tasks/*.json"))), ""
    if job.stage == "tune":
        return len(list(job.folder.glob("tried/*/tasks/*.json"))), ""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        lines = (job.folder / "log.jsonl").read_bytes()
        last = json.loads(lines[: lines.rindex(b"\n")].rsplit(b"\n", 1)[-1])
        return int(last["step"]), by_player(last["losses"])
    return 0, ""


def _written(folder: Path) -> int | None:
    """Return when somebody has last begun a stage; None where nobody has."""
    with suppress(OSError):
        return (folder / "stage.json").stat().st_mtime_ns
    return None
