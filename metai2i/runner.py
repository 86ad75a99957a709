"""Runs a recipe: plans the stages, looks each up or works on it, and writes the run's folder.

recipe.yaml -> rows -> pretrain -> further -> metatrain -> tune -> evaluate -> results -> report
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from metai2i.assemble import Assembler
from metai2i.checkpoint import load, part
from metai2i.checks import check_out, check_row, check_same_pictures, scored_tasks
from metai2i.device import keep_freed_memory
from metai2i.files import read_json
from metai2i.plan import PlannedRow, further_iterations, plan
from metai2i.randomness import Randomness
from metai2i.recipe import Recipe, Row
from metai2i.registry import Registry
from metai2i.run_writer import write_run
from metai2i.stages.evaluate import Judge, evaluate
from metai2i.stages.loop import Workplace
from metai2i.stages.metatrain import as_module, metatrain
from metai2i.stages.pretrain import pretrain
from metai2i.stages.tune import candidates, changed, tune
from metai2i.store import Stage, StageStore
from metai2i.strategy import MetaStrategy
from metai2i.translator import Translator


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
    """

    recipe: Recipe
    registry: Registry
    out: Path
    store: StageStore
    device: torch.device
    resume: bool = False
    told: dict[str, dict[str, Any]] = field(default_factory=dict)

    def run(self, command: Sequence[str] = ()) -> Path:
        """Runs everything that is not done yet and writes the run's folder; returns it."""
        began, started = time.monotonic(), datetime.now(UTC)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.assembler = Assembler(self.registry, self.recipe.seed, self.device)
        rows = self.recipe.rows
        check_out(self.out)
        for name, row in rows.items():
            check_row(name, row, self.assembler)
        pictures = check_same_pictures(rows, self.assembler)
        planned = plan(rows, self.assembler, self.recipe.seed)
        for stage in distinct(planned):
            self._do(stage, [one for one in planned if stage.key in {s.key for s in one.stages}])
        about = {
            "test_hash": pictures,
            "command": list(command),
            "started": started.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - began, 3),
        }
        write_run(self.out, self.recipe, planned, list(self.told.values()), self.store, self.assembler, about)
        return self.out

    def _do(self, stage: Stage, rows: Sequence[PlannedRow]) -> None:
        """Looks a stage up or works on it."""
        with self.store.lock(stage):
            done = self.store.done(stage)
            hit = done is not None
            if done is None:
                folder = self.store.begin(stage, resume=self.resume)
                names = rows[0].name if len(rows) == 1 else f"{len(rows)} rows"
                work = {"metatrain": self._metatrain, "tune": self._tune, "evaluate": self._evaluate}
                done = work.get(stage.name, self._pretrain)(
                    stage, rows[0].row, Workplace(folder, f"{stage.name} ({names})", self.device)
                )
                self.store.finish(stage, done)
        self.told[stage.key] = {"name": stage.name, "key": stage.key, "rows": [one.name for one in rows], **done,
                                "cache": "hit" if hit else "run"}  # fmt: skip

    def _pretrain(self, stage: Stage, row: Row, place: Workplace) -> dict[str, Any]:
        translator = self.assembler.translator(row)
        settings = row.pretrain
        if stage.upstream is not None:
            self._load(stage.upstream, translator)
            lr = row.further.lr if row.further and row.further.lr else settings.lr
            total = further_iterations(row, self.recipe.rows, self.assembler)
            settings = settings.model_copy(update={"lr": lr, "iterations": {translator.phases[-1]: total}})
        tasks = self.assembler.source(row).tasks("train")
        return pretrain(place, translator, tasks, settings, self.assembler.sampling(row), self._rng(stage.name))

    def _metatrain(self, stage: Stage, row: Row, place: Workplace) -> dict[str, Any]:
        gp, strategy = self._model(stage.upstream, row)
        source = self.assembler.source(row)
        watched = source.tasks("val") or source.tasks("train")
        return metatrain(
            place, gp, strategy, source.tasks("train"), watched, row.metatrain, row.episodes,
            self.assembler.sampling(row), self._rng(stage.name),
        )  # fmt: skip

    def _evaluate(self, stage: Stage, row: Row, place: Workplace) -> dict[str, Any]:
        if stage.upstream is not None and stage.upstream.name == "tune":
            row = changed(row, read_json(self.store.folder(stage.upstream) / "done.json")["chosen"])
        return evaluate(place, self._judge(stage, row), scored_tasks(row, self.assembler))

    def _tune(self, stage: Stage, row: Row, place: Workplace) -> dict[str, Any]:
        assert row.tune is not None
        judges = [(change, self._judge(stage, candidate)) for change, candidate in candidates(row, row.tune)]
        higher = self.registry.get("metric", row.tune.metric).higher_is_better  # type: ignore[attr-defined]
        return tune(place, judges, self.assembler.source(row).tasks("val")[: row.tune.tasks], row.tune.metric, higher)

    def _judge(self, stage: Stage, row: Row) -> Judge:
        above = stage.upstream
        gp, strategy = self._model(above.upstream if above and above.name == "tune" else above, row)
        return Judge(
            gp, strategy, self.assembler.retriever(row), self.assembler.source(row).tasks("train"), row,
            self.assembler.sampling(row), self._rng(stage.name), self.device, self.assembler.metrics(row),
        )  # fmt: skip

    def _model(self, stage: Stage | None, row: Row) -> tuple[Translator, MetaStrategy]:
        """The row's general model as `stage` left it, and its strategy with the meta-parameters learned."""
        gp, strategy = self.assembler.translator(row), self.assembler.strategy(row)
        strategy.prepare(gp)
        if stage is not None:
            learned = self._load(stage, gp)
            if stage.name == "metatrain":
                as_module(strategy.meta_parameters()).load_state_dict(learned)
        return gp, strategy

    def _load(self, stage: Stage, translator: Translator) -> dict[str, torch.Tensor]:
        tensors, _ = load(self.store.folder(stage) / "model.safetensors")
        translator.load_state_dict(part("model", tensors))
        return part("strategy", tensors)

    def _rng(self, *key: str) -> Randomness:
        return Randomness((self.recipe.seed, *key))


def distinct(planned: Sequence[PlannedRow]) -> list[Stage]:
    """Every stage once; evaluation after all training, so that what is long is over first."""
    stages = {stage.key: stage for one in planned for stage in one.stages}
    return sorted(stages.values(), key=lambda stage: stage.name == "evaluate")
