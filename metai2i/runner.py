"""Runs a recipe: plans the stages, looks each up or works on it, and writes the run's folder.

recipe.yaml -> rows -> pretrain -> further -> metatrain -> evaluate -> results -> report
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from metai2i.assemble import Assembler
from metai2i.checkpoint import load, part
from metai2i.errors import UserError
from metai2i.files import read_json, write_json, write_text
from metai2i.images import save_map, save_photo, slugs
from metai2i.objectives import Objective
from metai2i.perceptual import SMALLEST, lpips_distance
from metai2i.plan import PlannedRow, further_iterations, plan
from metai2i.provenance import describe
from metai2i.randomness import Randomness
from metai2i.recipe import Recipe, Row, dump_yaml
from metai2i.registry import Registry
from metai2i.results import Record, write_results
from metai2i.stages.evaluate import Judge, evaluate
from metai2i.stages.loop import Workplace
from metai2i.stages.metatrain import as_module, metatrain
from metai2i.stages.pretrain import pretrain
from metai2i.store import Stage, StageStore
from metai2i.strategy import MetaStrategy
from metai2i.tasks import Task
from metai2i.translator import Translator

log = logging.getLogger("metai2i")

SHOWN_QUERIES = 5
"""Queries of a task whose pictures are kept."""


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
        self.assembler = Assembler(self.registry, self.recipe.seed, self.device)
        rows = self.recipe.rows
        for name, row in rows.items():
            self._check(name, row)
        planned = plan(rows, self.assembler, self.recipe.seed)
        for stage in distinct(planned):
            self._do(stage, [one for one in planned if stage.key in {s.key for s in one.stages}])
        self._write(planned, command, started, time.monotonic() - began)
        return self.out

    def _check(self, name: str, row: Row) -> None:
        """Refuses, before anything is trained, what would fail hours later."""
        if "target" not in self.assembler.source(row).provides:
            raise UserError(
                f"row {name!r}: the task source {row.tasks.use!r} provides no 'target', so nothing could be scored",
                hint="metrics without pairs are not there yet",
            )
        tasks = self._test_tasks(row)
        if not tasks or not self.assembler.source(row).tasks("train"):
            empty = "train" if tasks else row.evaluate.split
            raise UserError(f"row {name!r}: the task source {row.tasks.use!r} has no {empty} tasks")
        twice = [task for task, count in Counter(task.id for task in tasks).items() if count > 1]
        if twice:
            raise UserError(
                f"row {name!r}: {row.tasks.use!r} has several {row.evaluate.split} tasks called {twice[0]!r}"
            )
        wanted = row.episodes.shots + row.episodes.queries
        # A training scene of a single pair is no obstacle: two augmentations of it are support and query.
        checked: dict[str, list[Task]] = {row.evaluate.split: [task for task in tasks if len(task) < wanted]}
        if self.assembler.strategy(row).meta:
            checked["train"] = [t for t in self.assembler.source(row).tasks("train") if 1 < len(t) < wanted]
        for split, short in checked.items():
            if short:
                raise UserError(
                    f"row {name!r}: {len(short)} {split} tasks have fewer pairs than {row.episodes.shots} shots + "
                    f"{row.episodes.queries} queries, {short[0].id!r} has {len(short[0])}",
                    hint="lower episodes.shots or episodes.queries",
                )
        # Constructors know which sizes they can take, and LPIPS says at once when its weights are nowhere.
        height, width = self.assembler.source(row).spec().size
        if min(height, width) < SMALLEST["alex"]:
            raise UserError(
                f"row {name!r}: LPIPS needs pictures of at least {SMALLEST['alex']} pixels a side, "
                f"{row.tasks.use!r} gives {height}x{width}"
            )
        objective = Objective(**row.objective)
        self.assembler.translator(row)
        for net in {"alex", *([objective.net] if objective.weights["perceptual"] else [])}:
            lpips_distance(net, self.device)

    def _test_tasks(self, row: Row) -> Sequence[Task]:
        tasks = self.assembler.source(row).tasks(row.evaluate.split)
        return tasks[: row.evaluate.tasks]

    def _do(self, stage: Stage, rows: Sequence[PlannedRow]) -> None:
        """Looks a stage up or works on it."""
        with self.store.lock(stage):
            done = self.store.done(stage)
            hit = done is not None
            if done is None:
                folder = self.store.begin(stage, resume=self.resume)
                names = rows[0].name if len(rows) == 1 else f"{len(rows)} rows"
                work = {"pretrain": self._pretrain, "further": self._pretrain, "metatrain": self._metatrain}
                done = work.get(stage.name, self._evaluate)(
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
        return pretrain(place, translator, tasks, settings, self.assembler.augment(row), self._rng(stage.name))

    def _metatrain(self, stage: Stage, row: Row, place: Workplace) -> dict[str, Any]:
        gp, strategy = self._model(stage.upstream, row)
        source = self.assembler.source(row)
        watched = source.tasks("val") or source.tasks("train")
        return metatrain(
            place, gp, strategy, source.tasks("train"), watched, row.metatrain, row.episodes,
            self.assembler.augment(row), self._rng(stage.name),
        )  # fmt: skip

    def _evaluate(self, stage: Stage, row: Row, place: Workplace) -> dict[str, Any]:
        gp, strategy = self._model(stage.upstream, row)
        judge = Judge(
            gp, strategy, self.assembler.retriever(row), self.assembler.source(row).tasks("train"), row,
            self.assembler.augment(row), self._rng(stage.name), self.device,
        )  # fmt: skip
        return evaluate(place, judge, self._test_tasks(row))

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

    def _write(self, planned: Sequence[PlannedRow], command: Sequence[str], started: datetime, seconds: float) -> None:
        """Writes the run's folder; `results.csv` and the report last, so that a half-written run shows."""
        self.out.mkdir(parents=True, exist_ok=True)
        results = {one.name: read_json(self.store.folder(one.evaluate) / "results.json") for one in planned}
        write_text(self.out / "recipe.yaml", dump_yaml(self.recipe.resolved))
        self._write_log()
        self._write_images(planned, results)
        write_results(self.out / "results.csv", records(results))
        tasks = [(one["task"], len(one["queries"])) for one in next(iter(results.values()))]
        first = planned[0].row
        about = describe(self.registry, list(self.recipe.rows.values()), self.device) | {
            "command": list(command),
            "started": started.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(seconds, 3),
            "data": {
                "fingerprint": sha256(self.assembler.fingerprint(first).encode()).hexdigest()[:16],
                "test_tasks": len(tasks),
                "test_hash": self._test_hash(first, tasks),
            },
            "stages": list(self.told.values()),
        }
        write_json(self.out / "provenance.json", about)

    def _test_hash(self, row: Row, tasks: Sequence[tuple[str, int]]) -> str:
        """Equal for two runs exactly when their rows were scored on the same pictures: only those can be compared."""
        about = [self.recipe.seed, self.assembler.fingerprint(row), self.assembler.source(row).spec().size, tasks]
        return sha256(json.dumps([*about, row.episodes.model_dump()]).encode()).hexdigest()[:16]

    def _write_log(self) -> None:
        """All stages' logs, one after the other, each line with its stage and rows."""
        lines: list[str] = []
        for told in self.told.values():
            about = {"stage": told["name"], "key": told["key"], "rows": told["rows"]}
            stage_log = self.store.root / told["key"] / "log.jsonl"
            if stage_log.exists():
                lines += [json.dumps(about | json.loads(line)) for line in stage_log.read_text().splitlines()]
            else:
                scored = read_json(self.store.root / told["key"] / "results.json")
                lines += [json.dumps(about | {"task": task["task"], "seconds": task["seconds"]}) for task in scored]
        write_text(self.out / "log.jsonl", "".join(f"{line}\n" for line in lines))

    def _write_images(self, planned: Sequence[PlannedRow], results: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Inputs, truth and every row's output of the first tasks, for the report."""
        images = self.out / "images"
        shutil.rmtree(images, ignore_errors=True)
        index: dict[str, dict[str, Any]] = {}
        pictured = {one.name: self._test_tasks(one.row)[: one.row.evaluate.images] for one in planned}
        task_folders = slugs(task.id for tasks in pictured.values() for task in tasks)
        row_folders = slugs(pictured, taken=("truth", "structure", "support", "support-structure"))
        for one in planned:
            row, spec = one.row, self.assembler.source(one.row).spec()
            found = self.store.folder(one.evaluate) / "images"
            aux = {task["task"]: [f"{name} ({score:.2f})" for name, score in task["aux"]] for task in results[one.name]}
            folders = slugs(task.id for task in pictured[one.name])  # as evaluate named them
            for task in pictured[one.name]:
                entry = index.setdefault(task.id, {"id": task.id, "dir": task_folders[task.id], "rows": {}, "aux": {}})
                if "queries" not in entry:
                    rng = self._rng("evaluate", task.id).at(0)
                    episode = task.episode(row.episodes.shots, row.episodes.queries, rng, self.assembler.augment(row))
                    shown = min(episode.query.size, SHOWN_QUERIES)
                    entry["queries"] = [str(q) for q in range(shown)]
                    entry["support"] = [str(s) for s in range(episode.support.size)]
                    for folder, batch, count in (("", episode.query, shown), ("support", episode.support, None)):
                        for n, photo in enumerate(batch["target"][:count]):
                            save_photo(images / entry["dir"] / (folder or "truth") / f"{n}.png", photo)
                        for n, structure in enumerate(batch["structure"][:count] if "structure" in batch else ()):
                            name = f"{folder}-structure" if folder else "structure"
                            save_map(images / entry["dir"] / name / f"{n}.png", structure, spec)
                entry["rows"][one.name] = row_folders[one.name]
                entry["aux"] |= {one.name: aux[task.id]} if aux[task.id] else {}
                target = images / entry["dir"] / row_folders[one.name]
                target.mkdir(parents=True, exist_ok=True)
                for picture in (found / folders[task.id] / f"{q}.png" for q in entry["queries"]):
                    if picture.exists():  # a row may have fewer queries than the first
                        shutil.copyfile(picture, target / picture.name)
        write_json(images / "index.json", {"tasks": list(index.values())})


def distinct(planned: Sequence[PlannedRow]) -> list[Stage]:
    """Every stage once; evaluation after all training, so that what is long is over first."""
    stages = {stage.key: stage for one in planned for stage in one.stages}
    return sorted(stages.values(), key=lambda stage: stage.name == "evaluate")


def records(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Record]:
    """One record per number, in the order of rows, tasks, queries, metrics."""
    return [
        Record(row, task["task"], str(q), metric, float(value))
        for row, tasks in results.items()
        for task in tasks
        for q, scores in enumerate(task["queries"])
        for metric, value in scores.items()
    ]
