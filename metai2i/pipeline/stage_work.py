"""Looks stages up in the store, or works on them: pretrain, continued, metatrain, tune, evaluate.

Of several processes all work on the stages whose work can be split (`is_shared`); the first one does everything else,
while the others wait for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property

import torch

from metai2i.distributed.processes import ALONE, Processes
from metai2i.errors import UserError
from metai2i.guards.faults import plugins_answer
from metai2i.guards.surroundings import put_back
from metai2i.locks import is_lock
from metai2i.losses.networks import only_networks
from metai2i.meta.outer_step import as_module
from metai2i.meta.preparing import prepare_strategy
from metai2i.pipeline.assemble import Assembler, scored_tasks
from metai2i.pipeline.plan import PlannedRow, continued_iterations, trying
from metai2i.pipeline.preflight import watched_metric
from metai2i.pipeline.reasons import about, known_stages, tell_why
from metai2i.pipeline.stage_store import Stage, StageStore
from metai2i.pipeline.stage_weights import NOT_TRAINED, read_weights
from metai2i.pipeline.starts import begun_tensors, fitting, in_order, of_model, under
from metai2i.randomness import Randomness
from metai2i.recipe import Recipe, Row
from metai2i.stages.evaluate import evaluate
from metai2i.stages.metatrain import metatrain
from metai2i.stages.pretrain import pretrain
from metai2i.stages.row_evaluator import RowEvaluator
from metai2i.stages.sets import KnownFeatures
from metai2i.stages.tune import Change, candidates, tune, with_choice
from metai2i.strategy import MetaStrategy
from metai2i.tasks import Split, Task
from metai2i.training.checkpoint import Named, part, prefixed, save
from metai2i.training.file_names import WEIGHTS
from metai2i.training.on_the_way import LOOKED_QUERIES, WatchedScenes
from metai2i.training.optimizers import at_rate
from metai2i.training.passes import load_weights
from metai2i.training.stage_context import SEEN_BY_ALL, StageContext
from metai2i.training.stage_records import DoneRecord, RunStageRecord
from metai2i.training.start_weights import StartWeights
from metai2i.translator import Translator

log = logging.getLogger("metai2i")

PIECES: Mapping[str, Callable[[Row], int]] = {
    "pretrain": lambda row: row.pretrain.parts,
    "continued": lambda row: row.pretrain.parts,
    "metatrain": lambda row: row.metatrain.tasks,
}
"""Into how many pieces, which processes can share, a step of training falls: parts of a batch, or episodes."""
_SHARED = frozenset({"tune", "evaluate"})
"""Stages on which all processes work in any case, by scenes."""


@dataclass
class StageWork:
    """Works on the stages of one planned recipe.

    Args:
        recipe: checked.
        planned: the stages of its rows.
        assembler: makes what the rows name.
        store: where stages are looked up and kept.
        resume: go on with stages that an interrupted run has left.
        processes: who works on it; each of them calls the same methods in the same order.
        images_every: steps of training between two images of the same scenes; None for no such images.
        records: what each stage that was asked for says of itself, by its key.
        features_known: of real images, so that sets are not looked through again for each row.
    """

    recipe: Recipe
    planned: Sequence[PlannedRow]
    assembler: Assembler
    store: StageStore
    resume: bool = False
    processes: Processes = ALONE
    images_every: int | None = None
    records: dict[str, RunStageRecord] = field(default_factory=dict)
    features_known: KnownFeatures = field(default_factory=dict)

    def do(self, stage: Stage) -> RunStageRecord:
        """Look a stage up or work on it, while what its plugins do besides is held in check.

        Raises:
            UserError: for what a user can put right.
        """
        with (
            plugins_answer(stage.name, self.store.folder(stage)),
            put_back(f"{stage.name}: a plugin"),
            only_networks(self.assembler.digested, self.assembler.registry),
        ):
            self._do(stage)
        return self.records[stage.key]

    def look_up(self, stage: Stage) -> bool:
        """Return whether a stage is done, without a lock; what it says of itself is then among the records."""
        done = self.store.done(stage)
        if done is not None:
            self._record(stage, done, hit=True)
        return done is not None

    def _sharing(self, stage: Stage) -> list[PlannedRow]:
        """Return the rows that share a stage."""
        return [planned_row for planned_row in self.planned if stage.key in {each.key for each in planned_row.stages}]

    def _record(self, stage: Stage, done: DoneRecord, *, hit: bool) -> None:
        """Keep what a stage says of itself."""
        self.records[stage.key] = {
            "name": stage.name,
            "key": stage.key,
            "rows": [planned_row.name for planned_row in self._sharing(stage)],
            **done,
            "cache": "hit" if hit else "run",
        }

    def _do(self, stage: Stage, *, anew: bool = False) -> None:
        """Look a stage up or work on it.

        Args:
            anew: whether it is not to be found though it is done: its weights are damaged.
        """
        first = self.processes.first
        rows = self._sharing(stage)
        with self.store.lock(stage) if first else nullcontext():
            done = self.processes.on_first(lambda: self._finished(stage, anew))
            hit = done is not None
            if done is None:
                wanted = (*stage.others.values(), stage.begun, stage.model)
                # A file leaves out what its training began with, so that is read as well.
                for other in (*(each.begun for each in wanted if each is not None), *wanted):
                    if other is not stage:
                        self._mend(other)
                self.processes.on_first(lambda: self._begin(stage, rows))
                done = self._worked_on(stage, rows)
                if first:
                    self.store.finish(stage, done)
        if first:
            for warning in done.get("warnings", ()):
                log.warning("%s (%s): %s", stage.name, ", ".join(planned_row.name for planned_row in rows), warning)
        self._record(stage, done, hit=hit)

    def _finished(self, stage: Stage, anew: bool) -> DoneRecord | None:
        """Return what a finished stage says of itself, unless its weights have been found damaged and nobody has mended
        it.
        """
        return None if anew and self.store.damage(stage) is not None else self.store.done(stage)

    def _mend(self, stage: Stage | None) -> None:
        """Train a stage anew whose weights are wanted and are not what was written."""
        if stage is None:
            return
        damage = self.processes.on_first(lambda: self.store.damage(stage))
        if damage is not None:
            if self.processes.first:
                log.warning("%s (%s): %s; it is trained anew", stage.name, stage.key, damage)
            self._do(stage, anew=True)

    def _begin(self, stage: Stage, rows: Sequence[PlannedRow]) -> None:
        """Make the folder of a stage ready that is not done, and say why it is worked on if one like it is."""
        folder = self.store.folder(stage)
        fresh = not folder.exists() or all(map(is_lock, folder.iterdir()))
        names = [planned_row.name for planned_row in rows]
        record = about(stage, self.recipe.name, names, self._scenes(stage, rows[0].row))
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
        processes = self.processes if is_shared(stage, row) else ALONE
        device, watched = self.assembler.device, self._watched(stage, row)
        place = StageContext(folder, title, device, processes, stage.key, self._begun(stage), watched)
        if not is_shared(stage, row):
            return self.processes.on_first(lambda: work(stage, row, place))
        done = work(stage, row, place)
        self.processes.gather(None)  # nobody needs the checkpoint any more, which goes when the stage is finished
        return done

    def _watched(self, stage: Stage, row: Row) -> WatchedScenes | None:
        """Return the scenes of which a training makes images at intervals, in the first process; None for none."""
        if self.images_every is None or stage.name not in PIECES or not self.processes.first:
            return None
        source, sampling = self.assembler.source(row), self.assembler.sampling(row)
        scenes = source.tasks("val") or source.tasks("train")
        shots, way = row.episodes.shots, row.evaluate.way
        watched = WatchedScenes.drawn(self.images_every, scenes, shots, sampling, source.spec(), way)
        if not watched.episodes:
            wanted = shots + LOOKED_QUERIES
            log.warning("%s: no scene has %d samples, so no images are made on the way", stage.name, wanted)
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
            changes = row.continued.model_dump(include={"anneal"}, exclude_none=True) if row.continued else {}
            settings = at_rate(settings, row.continued.lr) if row.continued and row.continued.lr else settings
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
        judges: list[tuple[Change, RowEvaluator]] = []
        for change, candidate in candidates(row, row.tune):
            judges.append((change, self._judge(stage, candidate, judges[0][1] if judges else None)))
        higher = self.assembler.registry.get("metric", row.tune.metric).higher_is_better
        return tune(place, judges, self.assembler.source(row).tasks("val")[: row.tune.tasks], row.tune.metric, higher)

    def _judge(self, stage: Stage, row: Row, alike: RowEvaluator | None = None) -> RowEvaluator:
        """Return what scores a row.

        Args:
            alike: of the same model, whose retriever has taken in all scenes already.
        """
        gp, strategy = self._model(stage.model, row)
        retriever = self.assembler.retriever(row, gp) if alike is None else alike.retriever
        return RowEvaluator(
            gp, strategy, retriever, self.assembler.source(row).tasks("train"), row,
            self.assembler.sampling(row), self._rng(stage.name), self.assembler.device, self.assembler.metrics(row),
            self.features_known,
        )  # fmt: skip

    def _model(self, stage: Stage | None, row: Row) -> tuple[Translator, MetaStrategy]:
        """Return the row's general model as `stage` left it, and its strategy with the meta-parameters learned."""
        gp, strategy = self.assembler.translator(row), self.assembler.strategy(row)
        prepare_strategy(strategy, gp, self.recipe.seed)
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


def is_shared(stage: Stage, row: Row) -> bool:
    """Return whether all processes of a run work on a stage.

    Args:
        stage: which.
        row: one of those that have it.
    """
    return stage.name in _SHARED or (stage.name in PIECES and PIECES[stage.name](row) > 1)
