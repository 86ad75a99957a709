"""A tracker that follows a run while it trains: it reads the logs of stages, and training knows nothing of it."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from metai2i.errors import UserError
from metai2i.exporter import RunContent, Tracker
from metai2i.exporting.export import EXPORT_MARK, check_replaceable, exporter_of
from metai2i.exporting.run_content import run_content, series_name
from metai2i.guards.fault_report import error_in_words

if TYPE_CHECKING:
    from metai2i.pipeline.plan import PlannedRow
    from metai2i.pipeline.runner import Runner

log = logging.getLogger("metai2i")

EVERY = 2.0
"""Seconds between two looks at the logs."""


@dataclass
class FollowedStage:
    """A stage whose log is read; `last` is the step of the last line that was handed over."""

    series: str
    path: Path
    last: int = 0
    size: int = -1

    def news(self) -> list[tuple[int, dict[str, float]]]:
        """Return the steps and losses that have come since the last look; a line that is being written comes later."""
        try:
            size = self.path.stat().st_size
            text = self.path.read_text(encoding="utf-8", errors="replace") if size != self.size else ""
        except OSError:
            return []
        self.size = size
        fresh = []
        for line in text.splitlines()[: text.count("\n")]:
            with suppress(ValueError, KeyError, TypeError, AttributeError):
                entry = json.loads(line)
                step, losses = int(entry["step"]), dict(entry["losses"])
                if step > self.last:
                    fresh.append((step, {str(term): float(value) for term, value in losses.items()}))
                    self.last = step
        return fresh


@dataclass
class Following:
    """A tracker and the thread in which alone it is called.

    Args:
        tracker: that follows.
        runner: whose stages are followed.
        place: the folder that it writes to; that of the run for a tracker that writes elsewhere.
    """

    tracker: Tracker
    runner: Runner
    place: Path
    stages: list[FollowedStage] = field(default_factory=list)
    content: RunContent | None = None
    sentence: str | None = None
    fault: str | None = None
    _over: threading.Event = field(default_factory=threading.Event)
    _begun: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @contextmanager
    def begin(self, planned: Sequence[PlannedRow]) -> Iterator[None]:
        """Follow the stages of a run; refuse to start when the tracker cannot begin."""
        rows: dict[str, list[str]] = {}
        stages = {stage.key: stage for planned_row in planned for stage in planned_row.stages}
        for planned_row in planned:
            for stage in planned_row.stages:
                rows.setdefault(stage.key, []).append(planned_row.name)
        self.stages = [
            FollowedStage(series_name(stage.name, key, rows[key]), self.runner.store.folder(stage) / "log.jsonl")
            for key, stage in stages.items()
        ]
        if self.tracker.ending is not None:
            fresh_folder(self.place)
        self._thread = threading.Thread(target=self._follow, name="metai2i log", daemon=True)
        self._thread.start()
        self._begun.wait()
        if self.fault is not None:
            self._thread = None
            raise UserError(f"--log cannot begin: {self.fault}")
        yield

    def finish(self, folder: Path) -> None:
        """Hand over the numbers and images of the finished run."""
        try:
            self.content = run_content(folder)
        except UserError as error:
            log.warning("--log: %s", error)

    def close(self) -> None:
        """Hand over what is left, and end."""
        self._over.set()
        if self._thread is None:
            return
        self._thread.join()
        if self.fault is not None:
            log.warning("--log has stopped: %s", self.fault)
        elif self.sentence is not None:
            log.info("%s", self.sentence)

    def _follow(self) -> None:
        recipe = self.runner.recipe
        if not self._tried(lambda: self.tracker.begin(recipe.name, recipe.resolved, self.place)):
            self._begun.set()
            return
        self._begun.set()
        alive = True
        while alive and not self._over.wait(EVERY):
            alive = self._tried(self._look)
        if alive:
            self._over.wait()
            alive = self._tried(self._rest)
        self._tried(lambda: self._end(not alive or self.content is None))

    def _look(self) -> None:
        for stage in self.stages:
            for step, losses in stage.news():
                for term, value in losses.items():
                    self.tracker.scalar(stage.series, term, step, value)

    def _rest(self) -> None:
        self._look()
        if self.content is not None:
            for number in self.content.numbers:
                self.tracker.number(number)
            for image in self.content.images:
                self.tracker.image(image["tag"], image["path"])

    def _end(self, failed: bool) -> None:
        sentence = self.tracker.end(failed)
        self.sentence = None if sentence is None else str(sentence).replace("{out}", str(self.place))

    def _tried(self, work: Callable[[], object]) -> bool:
        """Return whether something went well; what a tracker raises must not stop the training."""
        try:
            work()
        except Exception as error:
            self.fault = self.fault or f"{type(error).__name__}: {error_in_words(error)[:300]}"
            return False
        return True


@contextmanager
def followed(runner: Runner, name: str) -> Iterator[Following]:
    """Follow a run with a tracker, by its name.

    Raises:
        UserError: when there is no such tracker, when its library is not there, or its folder holds something else.
    """
    tracker = exporter_of(name, {}, runner.registry)
    if not isinstance(tracker, Tracker):
        what = f"--log {name}: this exporter cannot follow a run that trains"
        raise UserError(what, hint=f"`metai2i export RUN --to {name}` takes a finished one")
    place = runner.out.absolute()
    if tracker.ending is not None:
        place = place.with_name(place.name + tracker.ending.removesuffix("/"))
        check_replaceable(place, overwrite=True)
    following = Following(tracker, runner, place)
    try:
        yield following
    finally:
        following.close()


def fresh_folder(place: Path) -> None:
    """Make an empty folder for a tracker; what one has written there before goes, for the logs of stages have it all.

    Raises:
        UserError: for a folder that holds something else.
    """
    check_replaceable(place, overwrite=True)
    if place.is_dir():
        shutil.rmtree(place)
    place.mkdir(parents=True)
    (place / EXPORT_MARK).touch()
