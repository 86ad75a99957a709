"""What a run looks like now: at work, stopped or finished. Nothing is written, and nothing waits for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from metai2i.errors import GOES_ON, UserError
from metai2i.files import check_folder, parse_json
from metai2i.pipeline.stage_store import read_marker
from metai2i.report.curves import CurvePanel, stage_panels, training_stages
from metai2i.report.wording import duration
from metai2i.run_folder.at_work import AtWork, WantedStage, at_work_in
from metai2i.run_folder.files import LIST, PAGE
from metai2i.run_folder.reader import load_run
from metai2i.training.file_names import LOG
from metai2i.training.on_the_way import ON_THE_WAY, said_of, strip_files
from metai2i.training.sealed import Broken

SHOWN_STEPS = 8
"""Steps of a training whose images are shown."""
_STRIP = re.compile(r"(inputs|truth|[0-9]{8,12}(-adapted)?)\.png")
_KEY = re.compile(r"[0-9a-f]{16}")
StageState = Literal["done", "at work", "stopped", "waiting"]


@dataclass(frozen=True)
class Strip:
    """Images of the same inputs side by side; `version` changes when the file does."""

    name: str
    says: str
    version: str


@dataclass(frozen=True)
class LiveStage:
    """A stage as it is now.

    Args:
        key: in the store.
        name: pretrain, evaluate, …
        rows: that share it.
        state: done; at work, or where a run was stopped; or waiting for those before it.
        step: iterations that are done.
        total: iterations; 0 where nothing is counted.
        says: how long it took or may still take, in words.
        panels: of its losses.
        strips: its images on the way.
    """

    key: str
    name: str
    rows: tuple[str, ...]
    state: StageState
    step: int = 0
    total: int = 0
    says: str = ""
    panels: Sequence[CurvePanel] = ()
    strips: Sequence[Strip] = ()


@dataclass(frozen=True)
class LiveRun:
    """A run as it is now.

    Args:
        title: the recipe's name.
        state: of all of it.
        says: the state in a sentence.
        share: of its stages that is done, in [0, 1].
        stages: in their order.
        report: whether the folder has a report.
        notes: sentences on what is missing.
    """

    title: str
    state: Literal["at work", "stopped", "elsewhere", "finished", "gone"]
    says: str
    share: float = 0.0
    stages: Sequence[LiveStage] = ()
    report: bool = False
    notes: Sequence[str] = ()


@dataclass
class Watch:
    """Looks at a run again and again; curves are drawn anew only where a log has grown.

    Args:
        run: its folder, which need not be there while the run is at work.
    """

    run: Path
    _panels: dict[tuple[str, int, int], list[CurvePanel]] = field(default_factory=dict)

    def look(self) -> LiveRun:
        """Return the run as it is now.

        Raises:
            UserError: when there is no run, or its files cannot be read.
        """
        record = at_work_in(self.run)
        return self._finished() if record is None else self._at_work(record)

    def image(self, key: str, name: str) -> bytes | None:
        """Return a file of the images on the way; None where there is none of that name."""
        if not _KEY.fullmatch(key) or not _STRIP.fullmatch(name):
            return None
        record = at_work_in(self.run)
        home = self._images(key) if record is None else Path(record.store) / key / ON_THE_WAY
        with suppress(OSError):
            if not (home / name).is_symlink():
                return (home / name).read_bytes()
        return None

    def report(self) -> bytes | None:
        """Return the report of the run; None where it has none."""
        with suppress(OSError):
            return (self.run / PAGE).read_bytes()
        return None

    def _images(self, key: str) -> Path:
        return self.run / "images" / ON_THE_WAY / key

    def _at_work(self, record: AtWork) -> LiveRun:
        state, stages = record.state(), []
        before = True
        for wanted in record.stages:
            stage = self._stage(Path(record.store) / wanted.key, wanted, "stopped" if state == "stopped" else "at work")
            if stage.state != "done" and not before:
                stage = replace(stage, state="waiting", says="")
            before = before and stage.state == "done"
            stages.append(stage)
        since = f"since {record.started.replace('T', ' ')[:16]} UTC"
        says = {
            "at work": f"At work {since} (process {record.process}).",
            "stopped": f"Stopped before it was done: {GOES_ON}.",
            "elsewhere": f"Begun {since} by process {record.process} on {record.host}; whether it is still at work "
            "cannot be seen from here.",
        }[state]
        shares = [1.0 if each.state == "done" else each.step / each.total if each.total else 0.0 for each in stages]
        there = (self.run / PAGE).exists()
        notes = ["The report in this folder is that of an earlier run."] if there else []
        return LiveRun(record.recipe, state, says, sum(shares) / max(1, len(shares)), stages, there, notes)

    def _stage(self, folder: Path, wanted: WantedStage, otherwise: StageState) -> LiveStage:
        size = _size_of(folder / LOG)  # before it is read: what comes meanwhile is seen the next time
        lines = log_lines(folder / LOG)
        panels = self._curves(size, wanted, lines)
        strips = strips_in(folder / ON_THE_WAY)
        stage = LiveStage(
            wanted.key, wanted.name, wanted.rows, otherwise, total=wanted.total, panels=panels, strips=strips
        )
        done = _done_seconds(folder, wanted.key)
        if done is not None:
            return replace(stage, state="done", step=wanted.total, says=f"took {duration(done)}")
        step, rate = iterations_done(folder, lines)
        left = (wanted.total - step) / rate if rate and wanted.total > step else None
        says = "" if left is None else f"about {duration(left)} left"
        return replace(stage, step=min(step, wanted.total), says=says)

    def _curves(
        self, size: tuple[int, int] | None, stage: WantedStage, lines: Iterable[Mapping[str, object]]
    ) -> list[CurvePanel]:
        if size is None:
            return []
        known = (stage.key, *size)
        if known not in self._panels:
            for other in [each for each in self._panels if each[0] == stage.key]:
                del self._panels[other]
            about = {"stage": stage.name, "key": stage.key, "rows": list(stage.rows)}
            curves = training_stages({**line, **about} for line in lines)
            self._panels[known] = [panel for each in curves for panel in stage_panels(each)]
        return self._panels[known]

    def _finished(self) -> LiveRun:
        if not (self.run / LIST).exists():
            check_folder(self.run, "expected the folder of a run that is at work, was stopped or is finished")
            hint = "`metai2i run RECIPE --out` names the folder of a run"
            raise UserError("no run has written this folder", where=self.run, hint=hint)
        version = _size_of(self.run / "log.jsonl") or (0, 0)
        run = load_run(self.run)
        curves = {stage["key"]: stage for stage in training_stages(run.log)}
        stages = []
        for stage in run.provenance.stages:
            known = (stage.key, *version)
            if known not in self._panels:
                self._panels[known] = stage_panels(curves[stage.key]) if stage.key in curves else []
            total = stage.iterations if isinstance(stage.iterations, int) else 0
            stages.append(
                LiveStage(
                    key=stage.key,
                    name=stage.name,
                    rows=tuple(stage.rows),
                    state="done",
                    step=total,
                    total=total,
                    says=f"took {duration(stage.seconds)}",
                    panels=self._panels[known],
                    strips=strips_in(self._images(stage.key)) if _KEY.fullmatch(stage.key) else [],
                )
            )
        when = f" {run.provenance.finished.replace('T', ' ')[:16]} UTC" if run.provenance.finished else ""
        there = (self.run / PAGE).exists()
        return LiveRun(run.name, "finished", f"Finished{when}.", 1.0, stages, there, run.notes)


def _size_of(path: Path) -> tuple[int, int] | None:
    """Return the size of a file, and when it was last written to; None where it is not there."""
    with suppress(OSError):
        state = path.stat()
        return state.st_size, state.st_mtime_ns
    return None


def log_lines(path: Path) -> list[Mapping[str, object]]:
    """Return the lines of a log that is being written; what is no line yet is left out."""
    lines: list[Mapping[str, object]] = []
    with suppress(OSError):
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, RecursionError):
                line = parse_json(text)
                if isinstance(line, dict):
                    lines.append(line)
    return lines


def iterations_done(folder: Path, lines: Sequence[Mapping[str, object]]) -> tuple[int, float | None]:
    """Return how many iterations of a stage are done, and how many it does in a second, where that is known.

    Args:
        folder: of the stage.
        lines: of its log.
    """
    last = lines[-1] if lines else {}
    step, rate = last.get("step"), last.get("rate")
    if isinstance(step, int):
        return step, float(rate) if isinstance(rate, int | float) and rate > 0 else None
    scored = [*folder.glob("tasks/*.json"), *folder.glob("tried/*/tasks/*.json")]
    return len(scored), _pace(scored)


def _pace(files: Sequence[Path]) -> float | None:
    """Return how many files are written in a second."""
    times = []
    for path in files:
        with suppress(OSError):
            times.append(path.stat().st_mtime)
    spent = max(times) - min(times) if len(times) > 1 else 0.0
    return (len(times) - 1) / spent if spent > 0 else None


def strips_in(folder: Path) -> list[Strip]:
    """Return the images on the way that lie in a folder, as they are shown."""
    strips = []
    for name in strip_files(folder, SHOWN_STEPS):
        with suppress(OSError):
            strips.append(Strip(name, said_of(name), f"{(folder / name).stat().st_mtime_ns:x}"))
    return strips


def _done_seconds(folder: Path, key: str) -> float | None:
    """Return the seconds that a finished stage took; None where it is not done."""
    try:
        return float(read_marker(folder, key).done["seconds"])
    except (Broken, KeyError, OSError):
        return None
