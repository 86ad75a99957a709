"""Runs a recipe: plans the stages, looks each up or works on it, and writes the run's folder.

recipe.yaml -> rows -> pretrain -> continued -> metatrain -> tune -> evaluate -> results -> report

Of several processes all plan, and work together on the stages; the first one does everything else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import torch

from metai2i.distributed.processes import ALONE, Processes
from metai2i.errors import UserError
from metai2i.guards.faults import plugins_answer, user_errors_from
from metai2i.guards.handed_over import remarks_of
from metai2i.losses.backbone_weights import weights_folder
from metai2i.pipeline.assemble import Assembler
from metai2i.pipeline.outlook import amount
from metai2i.pipeline.plan import PlannedRow, plan, rows_alike
from metai2i.pipeline.preflight import check_begun_row, check_row, check_same_images
from metai2i.pipeline.stage_store import Stage, StageStore, find_stage
from metai2i.pipeline.stage_work import PIECES, StageWork
from metai2i.recipe import Recipe
from metai2i.recipe.key_places import told_with_places
from metai2i.registry import Registry
from metai2i.run_folder.apart import needed
from metai2i.run_folder.at_work import WantedStage, end_work, tell_at_work
from metai2i.run_folder.place import claimed
from metai2i.run_folder.writer import RunFacts, holds_another, write_run
from metai2i.tasks import TaskSource
from metai2i.training.device import keep_freed_memory
from metai2i.training.stage_records import RunStageRecord

log = logging.getLogger("metai2i")


@dataclass
class Runner:
    """One run of one recipe: `begin`, `work_on_all`, `write`; or `plan` and `work` on single stages.

    Args:
        recipe: checked.
        registry: where its plugins are found.
        out: the run's folder.
        store: where stages are looked up and kept.
        device: where networks live.
        resume: go on with stages that an interrupted run has left.
        processes: who works on it; each of them runs the same recipe.
        finish: adds to the new folder, before it takes its place, what can be made of it: the report.
        images_every: steps of training between two images of the same scenes; None for no such images.
    """

    recipe: Recipe
    registry: Registry
    out: Path
    store: StageStore
    device: torch.device
    resume: bool = False
    processes: Processes = ALONE
    finish: Callable[[Path], object] | None = None
    images_every: int | None = None
    stage_work: StageWork | None = field(default=None, init=False)

    def run(self, command: Sequence[str] = ()) -> Path:
        """Run everything that is not done yet and write the run's folder; return it.

        Raises:
            UserError: for what a user can put right, in this process or another.
        """
        with ExitStack() as stack:
            self.begin(stack)
            self.work_on_all()
            return self.write(command)

    def begin(self, stack: ExitStack) -> None:
        """Plan, and take the run's folder, which is held until `stack` is closed.

        Raises:
            UserError: for what would fail later.
        """
        self._began, self._started = time.monotonic(), datetime.now(UTC)
        self._plan(lambda: self._claim(stack))
        self._agree()
        if self.processes.first:
            tell_rows_alike(self.planned)
            tell_at_work(self.out, self.recipe.name, self.store.root, self._wanted())

    def work_on_all(self) -> None:
        """Look up, or work on, all stages."""
        for stage in self.stages:
            self.planned_work.do(stage)

    def write(self, command: Sequence[str] = ()) -> Path:
        """Write the run's folder, when all stages have been looked up or worked on; return it.

        Args:
            command: as it was typed, for the provenance.
        """
        facts = RunFacts(
            images=self.images,
            command=list(command),
            started=self._started.isoformat(timespec="seconds"),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - self._began, 3),
            processes=self.processes.count,
        )
        if self.processes.first:
            tell_remarks(self.assembler.sources(), self.store.root)
            self._write(facts)
            end_work(self.out)
        return self.out

    def plan(self) -> list[PlannedRow]:
        """Check the recipe and return the stages of its rows. Nothing is written.

        Raises:
            UserError: for what a user can put right.
        """
        self._plan(lambda: None)
        return self.planned

    def work(self, key: str, *, with_needs: bool = False) -> RunStageRecord:
        """Work on one stage of the recipe, unless it is done; return what it says of itself.

        What was planned before is not planned again.

        Args:
            key: of the stage, or the beginning of it.
            with_needs: whether to work on those that it needs as well, where they are not done.

        Raises:
            UserError: when no stage, or more than one, has such a key, or when one that it needs is not done.
        """
        if self.stage_work is None:
            self.plan()
        wanted, work = find_stage(self.stages, key), self.planned_work
        for stage in wanted.below():
            if with_needs:
                work.do(stage)
            elif not work.look_up(stage):
                raise UserError(
                    f"{wanted.name} ({wanted.key}) needs {stage.name} ({stage.key}), which is not done",
                    hint="work on that first, or give --with-needs",
                )
        return work.do(wanted)

    @property
    def planned_work(self) -> StageWork:
        """Return who works on the stages, which are planned by now."""
        assert self.stage_work is not None
        return self.stage_work

    @property
    def planned(self) -> list[PlannedRow]:
        """Return the rows with their stages, which are planned by now."""
        return list(self.planned_work.planned)

    @property
    def stages(self) -> list[Stage]:
        """Return every stage of the rows once, behind those that it needs."""
        return distinct(self.planned)

    def _wanted(self) -> tuple[WantedStage, ...]:
        """Return what is told of the stages while the run is at work."""
        wanted = []
        for stage in self.stages:
            sharing = [each for each in self.planned if stage.key in {shared.key for shared in each.stages}]
            row = sharing[0].row if sharing else next(iter(self.recipe.rows.values()))
            total, _ = amount(stage, row, self.recipe, self.assembler)
            rows = tuple(each.name for each in sharing)
            wanted.append(WantedStage(key=stage.key, name=stage.name, rows=rows, total=total))
        return tuple(wanted)

    def _plan(self, claim: Callable[[], object]) -> None:
        """Plan the stages of every row, once all that can be known of them beforehand has been checked.

        Args:
            claim: takes what the run is to write, in the first process.
        """
        if self.device.type == "cpu":
            keep_freed_memory()
        self.assembler = Assembler(self.registry, self.recipe.seed, self.device)
        self.out, self.store.root = self.out.absolute(), self.store.root.absolute()  # a plugin may change the folder
        self.assembler.stores = (self.store.root,)
        with plugins_answer("before training", self.store.root):
            self.images = self.processes.on_first(lambda: self._checked(claim))
            planned = plan(self.recipe.rows, self.assembler, self.recipe.seed, self.images)
        self.stage_work = StageWork(
            self.recipe, planned, self.assembler, self.store, self.resume, self.processes, self.images_every
        )

    def _write(self, facts: RunFacts) -> None:
        """Write the run's folder, with a report where `finish` makes one; a fault in that costs the report alone."""
        fault: Exception | None = None
        records = list(self.planned_work.records.values())
        with self.place.draft() as draft:
            write_run(draft, self.recipe, self.planned, records, self.store, self.assembler, facts)
            try:
                if self.finish is not None:
                    self.finish(draft)
            except (UserError, OSError):
                raise
            except Exception as error:
                fault = error
        if fault is not None:
            raise fault

    def _claim(self, stack: ExitStack) -> None:
        """Take the run's folder."""
        apart = needed(self.recipe, self.out, self.store.root, weights_folder())
        self.place = stack.enter_context(claimed(self.out, apart))
        if holds_another(self.out, self.recipe):
            log.warning("%s holds a run of another recipe, which this one will replace; --out names another", self.out)

    def _checked(self, claim: Callable[[], object]) -> str:
        """Refuse what would fail later, and take what is to be written; return a hash of the images that all rows are
        scored on.
        """
        claim()
        for name, row in self.recipe.rows.items():
            with told_with_places(self.recipe.key_places.get(name, {})):
                check_row(name, row, self.assembler)
                check_begun_row(name, self.recipe, self.assembler)
        return check_same_images(self.recipe.rows, self.assembler)

    def _agree(self) -> None:
        """Refuse processes that do not see the same data and code, and tell when some will have nothing to do."""
        keys = [stage.key for planned_row in self.planned for stage in planned_row.stages]
        if any(others != keys for others in self.processes.gather(keys)):
            what = "the processes of this run do not plan the same stages"
            raise UserError(what, hint="every machine needs the same data, plugins and versions")
        if self.processes.first:
            tell_waiting(self.planned, self.processes.count)


def tell_waiting(planned: Sequence[PlannedRow], count: int) -> None:
    """Tell of stages in which some of the processes have nothing to do though others share the work."""
    words = {
        "pretrain": "parts of a batch (pretrain.parts): while pre-training",
        "metatrain": "episodes in a meta-step (metatrain.tasks): while meta-training",
    }
    for name, what in words.items():
        sizes = [PIECES[name](each.row) for each in planned if any(stage.name == name for stage in each.stages)]
        least = min((size for size in sizes if size > 1 or name == "metatrain"), default=count)
        if least < count:
            log.info("%d processes, %d %s, some only wait", count, least, what)


def tell_rows_alike(planned: Sequence[PlannedRow]) -> None:
    """Warn of rows that a table would compare for nothing."""
    for names in rows_alike(planned):
        log.warning("the rows %s have the same settings, and will have the same numbers", ", ".join(map(repr, names)))


def tell_remarks(sources: Sequence[TaskSource], folder: Path) -> None:
    """Tell what the owners of the data should know of the files that were read; a source that fails at it is told."""
    sentences: dict[str, None] = {}
    for source in sources:
        try:
            with user_errors_from("what is to be said of the data", folder):
                sentences |= dict.fromkeys(f"of the files that were read: {text}" for text in remarks_of(source))
        except UserError as error:
            log.warning("%s", error)
    for text in sentences:
        log.warning("%s", text)


def distinct(planned: Sequence[PlannedRow]) -> list[Stage]:
    """Return every stage once, behind those that it needs; evaluation after all training, so that what is long is over
    first.
    """
    stages: dict[str, Stage] = {}
    for planned_row in planned:
        for stage in planned_row.stages:
            for each in (*stage.below(), stage):
                stages.setdefault(each.key, each)
    return sorted(stages.values(), key=lambda stage: stage.name == "evaluate")
