"""A tracker that follows a run while it trains: it reads the logs of stages, and training knows nothing of it."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from metai2i.errors import UserError
from metai2i.exporter import RunContent, Tracker
from metai2i.exporting.export import EXPORT_MARK, check_replaceable, exporter_of
from metai2i.exporting.run_content import run_content, series_name
from metai2i.guards.fault_report import error_in_words

if TYPE_CHECKING:
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
    """A tracker and the thread in which alone it is called; nothing where there is no tracker.

    Args:
        tracker: that follows.
        runner: whose stages are followed, once it has planned them.
    """

    tracker: Tracker | None
    runner: Runner
    place: Path = Path()
    stages: list[FollowedStage] = field(default_factory=list)
    content: RunContent | None = None
    sentence: str | None = None
    fault: str | None = None
    _over: threading.Event = field(default_factory=threading.Event)
    _begun: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def begin(self) -> None:
        """Follow the stages of a run that is planned.

        Raises:
            UserError: when the tracker cannot begin, or its folder holds something else.
        """
        if self.tracker is None:
            return
        self.stages = followed_stages(self.runner)
        self.place = place_beside(self.runner, self.tracker)
        if self.tracker.ending is not None:
            fresh_folder(self.place)
        self._thread = threading.Thread(target=self._follow, name="metai2i log", daemon=True)
        self._thread.start()
        self._begun.wait()
        if self.fault is not None:
            self._thread = None
            raise UserError(f"--log cannot begin: {self.fault}")

    def finish(self, folder: Path) -> None:
        """Hand over the numbers and images of the finished run, and end."""
        if self._thread is None:
            return
        try:
            self.content = run_content(folder)
        except UserError as error:
            log.warning("--log: %s", error)
        self.close()

    def close(self) -> None:
        """Hand over what is left, and end, if that is not done yet."""
        self._over.set()
        if self._thread is None:
            return
        self._thread.join()
        self._thread = None
        if self.fault is not None:
            log.warning("--log has stopped: %s", self.fault)
        elif self.sentence is not None:
            log.info("%s", self.sentence)

    def _follow(self) -> None:
        recipe, tracker = self.runner.recipe, self.tracker
        assert tracker is not None
        begun = self._tried(lambda: tracker.begin(recipe.name, recipe.resolved, self.place))
        self._begun.set()
        if not begun:
            return
        alive = True
        while alive and not self._over.wait(EVERY):
            alive = self._tried(lambda: self._look(tracker))
        if alive:
            alive = self._tried(lambda: self._rest(tracker))
        self._tried(lambda: self._end(tracker, not alive or self.content is None))

    def _look(self, tracker: Tracker) -> None:
        for stage in self.stages:
            for step, losses in stage.news():
                for term, value in losses.items():
                    tracker.scalar(stage.series, term, step, value)

    def _rest(self, tracker: Tracker) -> None:
        self._look(tracker)
        if self.content is not None:
            for number in self.content.numbers:
                tracker.number(number)
            for image in self.content.images:
                tracker.image(image["tag"], image["path"])

    def _end(self, tracker: Tracker, failed: bool) -> None:
        sentence = tracker.end(failed)
        self.sentence = None if sentence is None else str(sentence).replace("{out}", str(self.place))

    def _tried(self, work: Callable[[], object]) -> bool:
        """Return whether something went well; what a tracker raises must not stop the training."""
        try:
            work()
        except BaseException as error:  # also one that ends a program: it would end this thread without a word
            self.fault = self.fault or f"{type(error).__name__}: {error_in_words(error)[:300]}"
            return False
        return True


def followed(runner: Runner, name: str | None, stack: ExitStack) -> Following:
    """Return who follows a run with a tracker, in the first of its processes; nobody where no tracker is named.

    Args:
        runner: of the run, which is not planned yet.
        name: of the tracker.
        stack: ends the following when it is closed, if nobody has ended it before.

    Raises:
        UserError: when there is no such tracker, when its library is not there, or its folder holds something else.
    """
    if name is None or not runner.processes.first:
        return Following(None, runner)
    tracker = exporter_of(name, {}, runner.registry)
    if not isinstance(tracker, Tracker):
        what = f"--log {name}: this exporter cannot follow a run that trains"
        raise UserError(what, hint=f"`metai2i export RUN --to {name}` takes a finished one")
    if tracker.ending is not None:
        check_replaceable(place_beside(runner, tracker), overwrite=True)
    following = Following(tracker, runner)
    stack.callback(following.close)
    return following


def place_beside(runner: Runner, tracker: Tracker) -> Path:
    """Return the folder that a tracker writes to; the run's own for a tracker that writes elsewhere."""
    place = runner.out.absolute()
    return place if tracker.ending is None else place.with_name(place.name + tracker.ending.removesuffix("/"))


def followed_stages(runner: Runner) -> list[FollowedStage]:
    """Return the stages of a run that is planned, each with its log and its name for people."""
    rows: dict[str, list[str]] = {}
    for planned_row in runner.planned:
        for stage in planned_row.stages:
            rows.setdefault(stage.key, []).append(planned_row.name)
    return [
        FollowedStage(series_name(stage.name, stage.key, rows[stage.key]), runner.store.folder(stage) / "log.jsonl")
        for stage in runner.stages
    ]


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
