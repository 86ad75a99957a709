"""Runs a recipe: plans the stages, looks each up or works on it, and writes the run's folder.

recipe.yaml -> rows -> pretrain -> continued -> metatrain -> tune -> evaluate -> results -> report

Of several processes all plan, and work together on stages whose work can be split (`is_shared`); the first one does
everything else, while the others wait for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import torch

from metai2i.distributed.processes import ALONE, Processes
from metai2i.errors import UserError
from metai2i.guards.faults import plugins_answer, user_errors_from
from metai2i.guards.handed_over import remarks_of
from metai2i.guards.surroundings import put_back
from metai2i.losses.backbone_weights import weights_folder
from metai2i.losses.networks import only_networks
from metai2i.meta.outer_step import as_module
from metai2i.pipeline.assemble import Assembler, scored_tasks
from metai2i.pipeline.outlook import amount
from metai2i.pipeline.plan import PlannedRow, continued_iterations, plan, rows_alike, trying
from metai2i.pipeline.preflight import check_begun_row, check_row, check_same_images, watched_metric
from metai2i.pipeline.reasons import about, known_stages, tell_why
from metai2i.pipeline.stage_store import WEIGHTS, Stage, StageStore, find_stage
from metai2i.pipeline.stage_weights import NOT_TRAINED, read_weights
from metai2i.pipeline.starts import begun_tensors, fitting, in_order, of_model, under
from metai2i.randomness import Randomness
from metai2i.recipe import Recipe, Row
from metai2i.registry import Registry
from metai2i.run_folder.apart import needed
from metai2i.run_folder.at_work import WantedStage, end_work, tell_at_work
from metai2i.run_folder.place import claimed
from metai2i.run_folder.writer import RunFacts, holds_another, write_run
from metai2i.stages.evaluate import evaluate
from metai2i.stages.metatrain import metatrain
from metai2i.stages.pretrain import pretrain
from metai2i.stages.score import RowEvaluator
from metai2i.stages.sets import KnownFeatures
from metai2i.stages.tune import candidates, tune, with_choice
from metai2i.strategy import MetaStrategy
from metai2i.tasks import Split, Task, TaskSource
from metai2i.training.checkpoint import Named, part, prefixed, save
from metai2i.training.device import keep_freed_memory
from metai2i.training.loop import SEEN_BY_ALL, StageContext
from metai2i.training.on_the_way import LOOKED_QUERIES, WatchedScenes
from metai2i.training.passes import load_weights
from metai2i.training.stage_records import DoneRecord, RunStageRecord
from metai2i.training.start_weights import StartWeights
from metai2i.translator import Translator

log = logging.getLogger("metai2i")

_SPLIT: Mapping[str, Callable[[Row], int]] = {
    "pretrain": lambda row: row.pretrain.parts,
    "continued": lambda row: row.pretrain.parts,
    "metatrain": lambda row: row.metatrain.tasks,
}
"""Into how many pieces, which processes can share, a step of training falls: parts of a batch, or episodes."""
_SHARED = frozenset({"tune", "evaluate"})
"""Stages on which all processes work in any case, by scenes."""


@dataclass
class Runner:
    """One run of one recipe.

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
    records: dict[str, RunStageRecord] = field(default_factory=dict)
    features_known: KnownFeatures = field(default_factory=dict)

    def run(self, command: Sequence[str] = ()) -> Path:
        """Run everything that is not done yet and write the run's folder; return it.

        Raises:
            UserError: for what a user can put right, in this process or another.
        """
        with ExitStack() as stack:
            return self._run(command, stack)

    def _run(self, command: Sequence[str], stack: ExitStack) -> Path:
        """Run; what is held until the folder is written goes to `stack`."""
        began, started = time.monotonic(), datetime.now(UTC)
        images, planned = self._planned(lambda: self._claim(stack))
        self._agree(planned)
        stages = distinct(planned)
        if self.processes.first:
            tell_rows_alike(planned)
            tell_at_work(self.out, self.recipe.name, self.store.root, tuple(command), self._wanted(stages, planned))
        for stage in stages:
            self._guarded(stage, planned)
        facts = RunFacts(
            images=images,
            command=list(command),
            started=started.isoformat(timespec="seconds"),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - began, 3),
            processes=self.processes.count,
        )
        if self.processes.first:
            tell_remarks(self.assembler.sources(), self.store.root)
            self._write(planned, facts)
            end_work(self.out)
        return self.out

    def plan(self) -> list[PlannedRow]:
        """Check the recipe and return the stages of its rows. Nothing is written.

        Raises:
            UserError: for what a user can put right.
        """
        return self._planned(lambda: None)[1]

    def work(self, key: str, *, with_needs: bool = False) -> RunStageRecord:
        """Work on one stage of the recipe, unless it is done; return what it says of itself.

        Args:
            key: of the stage, or the beginning of it.
            with_needs: whether to work on those that it needs as well, where they are not done.

        Raises:
            UserError: when no stage, or more than one, has such a key, or when one that it needs is not done.
        """
        planned = self.plan()
        wanted = find_stage(distinct(planned), key)
        for stage in wanted.below():
            if not with_needs and self.store.done(stage) is None:
                raise UserError(
                    f"{wanted.name} ({wanted.key}) needs {stage.name} ({stage.key}), which is not done",
                    hint="work on that first, or give --with-needs",
                )
            self._guarded(stage, planned)
        self._guarded(wanted, planned)
        return self.records[wanted.key]

    def _wanted(self, stages: Sequence[Stage], planned: Sequence[PlannedRow]) -> tuple[WantedStage, ...]:
        """Return what is told of the stages while the run is at work."""
        wanted = []
        for stage in stages:
            sharing = [each for each in planned if stage.key in {shared.key for shared in each.stages}]
            row = sharing[0].row if sharing else next(iter(self.recipe.rows.values()))
            total, _ = amount(stage, row, self.recipe, self.assembler)
            rows = tuple(each.name for each in sharing)
            wanted.append(WantedStage(key=stage.key, name=stage.name, rows=rows, total=total))
        return tuple(wanted)

    def _planned(self, claim: Callable[[], object]) -> tuple[str, list[PlannedRow]]:
        """Return a hash of the images that all rows are scored on, and the stages of every row, once all that can be
        known of them beforehand has been checked.

        Args:
            claim: takes what the run is to write, in the first process.
        """
        if self.device.type == "cpu":
            keep_freed_memory()
        self.assembler = Assembler(self.registry, self.recipe.seed, self.device)
        self.out, self.store.root = self.out.absolute(), self.store.root.absolute()  # a plugin may change the folder
        self.assembler.stores = (self.store.root,)
        with plugins_answer("before training", self.store.root):
            images = self.processes.on_first(lambda: self._checked(claim))
            return images, plan(self.recipe.rows, self.assembler, self.recipe.seed, images)

    def _guarded(self, stage: Stage, planned: Sequence[PlannedRow]) -> None:
        """Look a stage up or work on it, while what its plugins do besides is held in check."""
        with (
            plugins_answer(stage.name, self.store.folder(stage)),
            put_back(f"{stage.name}: a plugin"),
            only_networks(self.assembler.digested, self.registry),
        ):
            self._do(stage, planned)

    def _write(self, planned: Sequence[PlannedRow], facts: RunFacts) -> None:
        """Write the run's folder, with a report where `finish` makes one; a fault in that costs the report alone."""
        fault: Exception | None = None
        with self.place.draft() as draft:
            write_run(draft, self.recipe, planned, list(self.records.values()), self.store, self.assembler, facts)
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
            check_row(name, row, self.assembler)
            check_begun_row(name, self.recipe, self.assembler)
        return check_same_images(self.recipe.rows, self.assembler)

    def _agree(self, planned: Sequence[PlannedRow]) -> None:
        """Refuse processes that do not see the same data and code, and tell when some will have nothing to do."""
        keys = [stage.key for planned_row in planned for stage in planned_row.stages]
        if any(others != keys for others in self.processes.gather(keys)):
            what = "the processes of this run do not plan the same stages"
            raise UserError(what, hint="every machine needs the same data, plugins and versions")
        if self.processes.first:
            tell_waiting(planned, self.processes.count)

    def _do(self, stage: Stage, planned: Sequence[PlannedRow], *, anew: bool = False) -> None:
        """Look a stage up or works on it.

        Args:
            anew: whether it is not to be found though it is done: its weights are damaged.
        """
        first = self.processes.first
        rows = [planned_row for planned_row in planned if stage.key in {each.key for each in planned_row.stages}]
        with self.store.lock(stage) if first else nullcontext():
            done = self.processes.on_first(lambda: self._found(stage, anew))
            hit = done is not None
            if done is None:
                for other in (*stage.others.values(), stage.begun, stage.model):
                    if other is not stage:
                        self._mend(other, planned)
                self.processes.on_first(lambda: self._begin(stage, rows))
                done = self._worked_on(stage, rows)
                if first:
                    self.store.finish(stage, done)
        if first:
            for warning in done.get("warnings", ()):
                log.warning("%s (%s): %s", stage.name, ", ".join(planned_row.name for planned_row in rows), warning)
        self.records[stage.key] = {
            "name": stage.name,
            "key": stage.key,
            "rows": [planned_row.name for planned_row in rows],
            **done,
            "cache": "hit" if hit else "run",
        }

    def _found(self, stage: Stage, anew: bool) -> DoneRecord | None:
        """Return what a finished stage says of itself, unless its weights have been found damaged and nobody has mended
        it.
        """
        return None if anew and self.store.damage(stage) is not None else self.store.done(stage)

    def _mend(self, stage: Stage | None, planned: Sequence[PlannedRow]) -> None:
        """Train a stage anew whose weights are wanted and are not what was written."""

        if stage is None:
            return
        damage = self.processes.on_first(lambda: self.store.damage(stage))
        if damage is not None:
            if self.processes.first:
                log.warning("%s (%s): %s; it is trained anew", stage.name, stage.key, damage)
            self._do(stage, planned, anew=True)

    def _begin(self, stage: Stage, rows: Sequence[PlannedRow]) -> None:
        """Make the folder of a stage ready that is not done, and say why it is worked on if one like it is."""
        folder = self.store.folder(stage)
        fresh = not folder.exists() or {path.name for path in folder.iterdir()} <= {"lock"}
        record = about(stage, [planned_row.name for planned_row in rows], self._scenes(stage, rows[0].row))
        why = tell_why(stage, record, self.known) if fresh else None
        self.store.begin(stage, resume=self.resume, about={**record, "why": why})

    def _scenes(self, stage: Stage, row: Row) -> dict[str, Sequence[Task]]:
        """Return the scenes that decide a stage, beside those that decide what it builds on."""
        splits: dict[str, Split] = {"pretrain": "train", "tune": "val", "evaluate": row.evaluate.split}
        split = splits.get(stage.name)
        return {} if split is None else {split: self.assembler.source(row).tasks(split)}

    @cached_property
    def known(self) -> list[Mapping[str, object]]:
        """Return what the finished stages of the store say of themselves, as it was when something was first
        worked on.
        """
        return known_stages(self.store.root)

    def _worked_on(self, stage: Stage, rows: Sequence[PlannedRow]) -> DoneRecord:
        """Do a stage, by all processes or by the first; return its marker."""
        folder, row = self.store.folder(stage), rows[0].row
        if not (folder / "stage.json").exists():
            raise UserError("this process does not see the stage", where=folder, hint=SEEN_BY_ALL)
        title = f"{stage.name} ({rows[0].name if len(rows) == 1 else f'{len(rows)} rows'})"
        work = {
            "start": self._start, "pretrain": self._pretrain, "continued": self._pretrain,
            "metatrain": self._metatrain, "tune": self._tune, "evaluate": self._evaluate,
        }[stage.name]  # fmt: skip
        if not is_shared(stage, row):
            place = StageContext(
                folder, title, self.device, ALONE, stage.key, self._begun(stage), self._watched(stage, row)
            )
            return self.processes.on_first(lambda: work(stage, row, place))
        place = StageContext(
            folder, title, self.device, self.processes, stage.key, self._begun(stage), self._watched(stage, row)
        )
        done = work(stage, row, place)
        self.processes.gather(None)  # nobody needs the checkpoint any more, which goes when the stage is finished
        return done

    def _watched(self, stage: Stage, row: Row) -> WatchedScenes | None:
        """Return the scenes of which a training makes images at intervals, in the first process; None for none."""
        if self.images_every is None or stage.name not in _SPLIT or not self.processes.first:
            return None
        source, sampling = self.assembler.source(row), self.assembler.sampling(row)
        scenes = source.tasks("val") or source.tasks("train")
        shots, way = row.episodes.shots, row.evaluate.way
        watched = WatchedScenes.drawn(self.images_every, scenes, shots, sampling, source.spec(), way)
        if not watched.episodes:
            log.warning(
                "%s: no scene has %d samples, so no images are made on the way", stage.name, shots + LOOKED_QUERIES
            )
        return watched

    def _start(self, stage: Stage, row: Row, place: StageContext) -> DoneRecord:
        """Gather what a row's training begins with."""
        began = time.monotonic()
        translator, tensors = self.assembler.translator(row), Named()
        for name, start in in_order(row):
            if name in stage.others:
                given = part("model", self._read(stage.others[name]))
                of_part = of_model(given, start.part or name, f"row {start.row!r}", None)
                begun = fitting(of_part, translator, name, f"row {start.row!r}")
            else:
                begun = begun_tensors(translator, name, start, self.assembler.stores)
            tensors |= under(name, begun)
        save(place.folder / WEIGHTS, prefixed("model", tensors), {"step": 0})
        return DoneRecord(iterations=0, seconds=round(time.monotonic() - began, 3), peak_memory_mib=None)

    def _begun(self, stage: Stage) -> StartWeights | None:
        """Return the weights that a training began with, which its files leave out where they have stayed."""
        if stage.begun is None or stage.name in NOT_TRAINED:
            return None
        return StartWeights.of(stage.begun.key, self.store.folder(stage.begun) / WEIGHTS)

    def _pretrain(self, stage: Stage, row: Row, place: StageContext) -> DoneRecord:
        translator = self.assembler.translator(row)
        settings, trained = row.pretrain, None
        if stage.name == "pretrain" and stage.upstream is not None:
            translator.load_state_dict(part("model", self._read(stage.upstream)), strict=False)
        if stage.name == "continued":
            assert stage.upstream is not None
            trained = part("trained", self._load(stage.upstream, translator))
            total = continued_iterations(row, self.recipe.rows, self.assembler)
            changes = row.continued.model_dump(include={"lr", "anneal"}, exclude_none=True) if row.continued else {}
            settings = settings.model_copy(update={**changes, "iterations": {translator.phases[-1]: total}})
        tasks, sampling = self.assembler.source(row).tasks("train"), self.assembler.sampling(row)
        # The continuation draws at the address of the name that it had before, so that its numbers stay what they were.
        rng = self._rng("pretrain" if stage.name == "pretrain" else "further")
        return pretrain(place, translator, tasks, settings, sampling, rng, trained)

    def _metatrain(self, stage: Stage, row: Row, place: StageContext) -> DoneRecord:
        gp, strategy = self._model(stage.upstream, row)
        source = self.assembler.source(row)
        watched = source.tasks("val") or source.tasks("train")
        done = metatrain(
            place, gp, strategy, source.tasks("train"), watched, row.metatrain, row.episodes,
            self.assembler.sampling(row), self._rng(stage.name),
            watched_metric(row, self.recipe.compare.metric, self.assembler),
        )  # fmt: skip
        if choices := dict(strategy.choices()):
            done["choices"] = choices
        return done

    def _evaluate(self, stage: Stage, row: Row, place: StageContext) -> DoneRecord:
        if stage.upstream is not None and stage.upstream.name == "tune":
            row = with_choice(row, self.records[stage.upstream.key]["chosen"])
        return evaluate(place, self._judge(stage, row), scored_tasks(row, self.assembler))

    def _tune(self, stage: Stage, row: Row, place: StageContext) -> DoneRecord:
        row = trying(row, self.recipe.rows)
        assert row.tune is not None
        judges = [(change, self._judge(stage, candidate)) for change, candidate in candidates(row, row.tune)]
        higher = self.registry.get("metric", row.tune.metric).higher_is_better
        return tune(place, judges, self.assembler.source(row).tasks("val")[: row.tune.tasks], row.tune.metric, higher)

    def _judge(self, stage: Stage, row: Row) -> RowEvaluator:
        gp, strategy = self._model(stage.model, row)
        return RowEvaluator(
            gp, strategy, self.assembler.retriever(row), self.assembler.source(row).tasks("train"), row,
            self.assembler.sampling(row), self._rng(stage.name), self.device, self.assembler.metrics(row),
            self.features_known,
        )  # fmt: skip

    def _model(self, stage: Stage | None, row: Row) -> tuple[Translator, MetaStrategy]:
        """Return the row's general model as `stage` left it, and its strategy with the meta-parameters learned."""
        gp, strategy = self.assembler.translator(row), self.assembler.strategy(row)
        strategy.prepare(gp)
        if stage is not None:
            learned = self._load(stage, gp)
            if stage.name == "metatrain":
                as_module(strategy.meta_parameters()).load_state_dict(part("strategy", learned))
        return gp, strategy

    def _load(self, stage: Stage, translator: Translator) -> dict[str, torch.Tensor]:
        tensors = self._read(stage)
        load_weights(translator, part("model", tensors))
        return tensors

    def _read(self, stage: Stage) -> Named:
        return read_weights(self.store.folder(stage) / WEIGHTS, [self.store.root])  # `_mend` has read it through

    def _rng(self, *key: str) -> Randomness:
        return Randomness((self.recipe.seed, *key))


def tell_rows_alike(planned: Sequence[PlannedRow]) -> None:
    """Warn of rows that a table would compare for nothing."""
    for names in rows_alike(planned):
        log.warning("the rows %s have the same settings, and will have the same numbers", ", ".join(map(repr, names)))


def is_shared(stage: Stage, row: Row) -> bool:
    """Return whether all processes of a run work on a stage.

    Args:
        stage: which.
        row: one of those that have it.
    """
    return stage.name in _SHARED or (stage.name in _SPLIT and _SPLIT[stage.name](row) > 1)


def tell_waiting(planned: Sequence[PlannedRow], count: int) -> None:
    """Tell of stages in which some of the processes have nothing to do though others share the work."""
    words = {
        "pretrain": "parts of a batch (pretrain.parts): while pre-training",
        "metatrain": "episodes in a meta-step (metatrain.tasks): while meta-training",
    }
    for name, what in words.items():
        sizes = [_SPLIT[name](each.row) for each in planned if any(stage.name == name for stage in each.stages)]
        least = min((size for size in sizes if size > 1 or name == "metatrain"), default=count)
        if least < count:
            log.info("%d processes, %d %s, some only wait", count, least, what)


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
