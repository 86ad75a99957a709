"""A finished run for notebooks: its numbers, its general models, and these adapted to the scenes that were scored."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from metai2i import __version__
from metai2i.batch import Batch
from metai2i.data.reference import Reference
from metai2i.errors import UserError, did_you_mean
from metai2i.guards.faults import user_errors_from
from metai2i.inference.model_file import AdaptedModel, description
from metai2i.inference.trained_run import TrainedRun, exemplars_of, fit
from metai2i.meta.outer_step import as_module
from metai2i.meta.preparing import prepare_strategy
from metai2i.pipeline.assemble import Assembler, scored_tasks
from metai2i.pipeline.stage_weights import read_weights
from metai2i.randomness import Randomness
from metai2i.recipe import Row
from metai2i.run_folder.reader import Run, load_run
from metai2i.run_folder.results import ALL_TASKS, Record
from metai2i.run_folder.writer import fingerprint
from metai2i.stages.adapted_draw import AdaptedDraw, adapt_draw
from metai2i.stages.row_evaluator import RowEvaluator
from metai2i.tasks import Episode, Task
from metai2i.training.checkpoint import part
from metai2i.translator import Translator


@dataclass(frozen=True)
class OpenedRun:
    """A finished run. Numbers are read off its folder; models need its stages, and adapting to its scenes its data.

    Args:
        trained: the run, with its stage stores.
        assembler: makes what its rows name.
    """

    trained: TrainedRun
    assembler: Assembler

    @property
    def rows(self) -> list[str]:
        """Return the names of its rows."""
        return list(self.trained.recipe.rows)

    @property
    def tasks(self) -> list[str]:
        """Return the ids of the scenes that its rows were scored on."""
        return list(dict.fromkeys(record.task for record in self.records if record.task != ALL_TASKS))

    @property
    def records(self) -> list[Record]:
        """Return the numbers of its `results.csv`."""
        return self.folder.records

    @property
    def folder(self) -> Run:
        """Return all that its folder says.

        Raises:
            UserError: when its numbers are not there, or are damaged.
        """
        return load_run(self.trained.folder)

    def general(self, row: str) -> AdaptedModel:
        """Return a row's general model as its training left it, to paint with: it has no support, so exemplars that its
        translator reads have to be in the batch.

        Raises:
            UserError: for a row that the run does not have, or whose weights are nowhere.
        """
        judge = self._judge(row)
        return self._model(row, judge.gp, Batch(), None)

    def adapted(self, row: str, task: str, draw: int = 0) -> AdaptedModel:
        """Return a row's model of a scene, adapted as it was when the row was scored: to the same support, at the same
        address.

        Args:
            row: its name.
            task: the id of one of the scenes that the row was scored on.
            draw: the number of the draw of support and query; the run's images are of the first.

        Raises:
            UserError: for a row or a scene that the run does not have, or when the weights or the data are not there.
        """
        judge = self._judge(row)
        drawn = self._drawn(judge, row, task, draw)
        support = drawn.episode.support.to("cpu")
        return self._model(row, drawn.adapted, support, drawn.here.rng)

    def episode(self, row: str, task: str, draw: int = 0) -> Episode:
        """Return the support that a row is adapted to on a scene, and the query that it is scored on.

        Raises:
            UserError: as `adapted`.
        """
        settings, scene = self._row(row), self._task(row, task, draw)
        rng = self._rng(task, draw)
        sampling = self.assembler.sampling(settings)
        return sampling.episode(scene, settings.test_shots, settings.test_queries, rng, unseen=True)

    def _row(self, name: str) -> Row:
        rows = self.trained.rows()
        if name not in rows:
            what = f"the run has no row {name!r}"
            raise UserError(what, where=self.trained.folder, hint=did_you_mean(name, rows))
        return rows[name]

    def _task(self, row: str, id: str, draw: int) -> Task:
        """Return one of the scenes that a row was scored on, for one of its draws."""
        settings = self._row(row)
        if not 0 <= draw < settings.episodes.draws:
            last = settings.episodes.draws - 1
            raise UserError(f"row {row!r} has no draw {draw}, expected a number from 0 to {last}")
        with user_errors_from(f"the data of row {row!r}", self.trained.folder):
            scenes = {scene.id: scene for scene in scored_tasks(settings, self.assembler)}
        if id not in scenes:
            what = f"row {row!r} was not scored on a scene {id!r}"
            raise UserError(what, where=self.trained.folder, hint=did_you_mean(id, scenes))
        self._look_at_data()
        return scenes[id]

    def _look_at_data(self) -> None:
        """Warn of data that are not those of the run."""
        then = self.trained.provenance.data.fingerprint
        first = next(iter(self.trained.recipe.rows.values()))
        if then is not None and fingerprint(self.assembler, first) != then:
            text = f"{self.trained.folder}: the data have changed since the run, so its scenes may be others"
            warnings.warn(text, stacklevel=4)

    def _judge(self, name: str) -> RowEvaluator:
        """Return what scores a row, with the general model that its training has left."""
        row, assembler = self._row(name), self.assembler
        _, file = self.trained.weights(name)
        tensors = read_weights(file, self.trained.stores)
        with user_errors_from(f"opening row {name!r}", self.trained.folder):
            gp, strategy = assembler.translator(row), assembler.strategy(row)
            prepare_strategy(strategy, gp, assembler.seed)
            fit(gp, part("model", tensors), file)
            if strategy.meta:
                fit(as_module(strategy.meta_parameters()), part("strategy", tensors), file)
            source, sampling = assembler.source(row), assembler.sampling(row)
            retriever, scenes = assembler.retriever(row, gp), source.tasks("train")
        gp.eval()
        rng = Randomness((self.trained.recipe.seed, "evaluate"))
        return RowEvaluator(gp, strategy, retriever, scenes, row, sampling, rng, assembler.device, {})

    def _drawn(self, judge: RowEvaluator, row: str, task: str, draw: int) -> AdaptedDraw:
        scene = self._task(row, task, draw)
        with user_errors_from(f"adapting row {row!r} to {task!r}", self.trained.folder):
            return adapt_draw(judge, scene, draw)

    def _rng(self, task: str, draw: int) -> Randomness:
        return Randomness((self.trained.recipe.seed, "evaluate")).at(task, draw)

    def _model(self, name: str, translator: Translator, support: Batch, at: Randomness | None) -> AdaptedModel:
        """Return a model with what its file would say of it.

        Args:
            at: the address at which it was adapted; None for a general model.
        """
        row = self._row(name)
        spec = self.assembler.source(row).spec()
        origin: Mapping[str, object] = {
            "run": str(self.trained.folder),
            "recipe": self.trained.recipe.name,
            "row": name,
            "stage": self.trained.weights(name)[0],
            "strategy": row.strategy.model_dump(mode="json"),
            "adapt": row.adapt.model_dump(mode="json"),
            "seed": self.trained.recipe.seed,
            "metai2i": __version__,
        }
        about = description(row, spec, self.assembler.registry.identity("translator", row.translator.use), origin)
        reference: Reference | None = None
        if at is not None:
            reference = exemplars_of(translator, spec, {**row.reference, "test": "support"})
        translator.eval()
        return AdaptedModel(translator, spec, support, reference, about)
