"""The general model of a finished run, for one of its rows, without its data."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from metai2i.adaptation import Adaptation
from metai2i.bounds import Positive, check_range
from metai2i.data.augment import Augment
from metai2i.data.places import expanded
from metai2i.data.reference import Reference
from metai2i.errors import UserError, UserErrors, did_you_mean
from metai2i.field import is_exemplars
from metai2i.files import read_json
from metai2i.inference.field_folders import readable_field
from metai2i.inference.model_header import no_larger_than
from metai2i.inference.pair_folders import check_classes
from metai2i.inference.unpaired_support import is_unpaired
from metai2i.meta.outer_step import as_module
from metai2i.meta.preparing import prepare_strategy
from metai2i.pipeline.assemble import Assembler, build_translator, construct
from metai2i.pipeline.stage_weights import read_weights, trained_weights
from metai2i.pipeline.starts import freeze_begun
from metai2i.recipe import Adapt, Recipe, Row, load_recipe
from metai2i.registry import KINDS, Registry
from metai2i.registry.problems import first_problem
from metai2i.run_folder.at_work import check_run_folder
from metai2i.run_folder.files import LIST, RECIPE, SUMMARY, check_one_run
from metai2i.run_folder.record import NewerRun, Provenance, other_version, read_record, read_run_recipe
from metai2i.run_folder.spec_json import spec_of
from metai2i.scene_state import misfit
from metai2i.stages.tune import with_choice
from metai2i.strategy import MetaStrategy
from metai2i.tasks import TaskSpec
from metai2i.training.checkpoint import part
from metai2i.training.passes import load_weights
from metai2i.translator import Translator


@dataclass(frozen=True)
class TrainedRun:
    """A finished run.

    Args:
        folder: of the run.
        recipe: its own, with every default spelled out.
        provenance: what its `provenance.json` says.
        stores: folders in which its stages may lie.
    """

    folder: Path
    recipe: Recipe
    provenance: Provenance
    stores: Sequence[Path]

    def rows(self) -> dict[str, Row]:
        """Return the rows; one that was tuned adapts as was chosen."""
        return {name: self._tuned(name, row) for name, row in self.recipe.rows.items()}

    def spec(self, name: str) -> TaskSpec:
        """Return what the row's translator was told of the data.

        Raises:
            UserError: when the run's folder does not say it, or says what no source may.
        """
        try:
            return spec_of(self.provenance.spec, name)
        except ValidationError as error:
            why = first_problem(error, self.provenance.spec, "spec")
        except ValueError:
            why = "expected its size, classes and colours"
        raise UserError(
            f"provenance.json does not say for which data row {name!r} was trained: {why}",
            where=self.folder,
            hint=self.again,
        )

    def weights(self, name: str) -> tuple[str, Path]:
        """Return the key of the row's last training stage, and the file with its weights.

        Raises:
            UserError: when they are nowhere, or are not those that training wrote.
        """
        return trained_weights(self.provenance, name, self.stores, self.folder, self.again)

    @property
    def again(self) -> str:
        """Return how the run is made once more."""
        return f"metai2i run {self.folder / 'recipe.yaml'} --out {self.folder} makes the run again"

    def plugin(self, kind: str, name: str) -> Mapping[str, str | None]:
        """Return the identity of a plugin's component when the run was made; nothing where the run does not say."""
        known = (each for each in self.provenance.plugins if (each.get("kind"), each.get("name")) == (kind, name))
        return next(known, {})

    def _tuned(self, name: str, row: Row) -> Row:
        tuned = [stage.chosen for stage in self.provenance.stages_of(name) if stage.name == "tune"]
        chosen = tuned[-1] if tuned else None
        return row if chosen is None else with_choice(row, chosen.model_dump(exclude_none=True))


@dataclass(frozen=True)
class TrainedModel:
    """A row's general model and how it is adapted."""

    name: str
    row: Row
    spec: TaskSpec
    gp: Translator
    strategy: MetaStrategy
    reference: Reference | None
    stage: str


def stores_of(folder: Path, named: Path | str | None) -> list[Path]:
    """Return where the stages of a run may lie: in the store that is named, or that `METAI2I_STAGES` says; else in
    `.stages` beside the run, or in `runs/.stages`.
    """
    named = named or os.environ.get("METAI2I_STAGES")
    return [expanded(named)] if named else [folder.absolute().parent / ".stages", Path("runs/.stages")]


def read_trained_run(folder: Path, registry: Registry, stores: Sequence[Path]) -> TrainedRun:
    """Read a run's folder. No code comes from it: the `plugins` of its recipe are not looked at.

    Raises:
        UserError: when it is not the folder of a finished run, when its files are not of one run, or when a component
            that it was made with is not there.
    """
    check_run_folder(folder)
    for name in (RECIPE, LIST):
        if not (folder / name).is_file():
            raise UserError(f"the folder has no {name}", where=folder, hint="expected the folder of a finished run")
    try:
        provenance, _ = read_record(folder / LIST, Provenance)
    except NewerRun:
        raise
    except UserError as error:
        raise UserError(f"this is no provenance of a run: {error.what}", where=error.where, hint=error.hint) from None
    check_one_run(folder, provenance, images=True)
    return TrainedRun(folder, _recipe_of(folder, registry, provenance.metai2i), provenance, stores)


def _recipe_of(folder: Path, registry: Registry, version: str | None) -> Recipe:
    """Return the recipe of a run, which names components that have to be there already and no other file.

    Args:
        version: of metai2i, which made the run.

    Raises:
        UserError: naming what is not there, and the plugins that the run was made with.
    """
    path = folder / RECIPE
    plain, _ = read_run_recipe(path)
    try:
        return load_recipe(path, registry=registry, foreign=True)
    except UserErrors as errors:
        missing = [
            error for kind, name in sorted(_named(plain)) if (error := _not_there(registry, kind, name)) is not None
        ]
        other = other_version(version)
        if not missing and other is not None:
            refused = UserError("this version cannot read the recipe of the run", where=path, hint=other)
            raise UserErrors([*errors.errors, refused]) from errors
        if not missing:
            raise
        made_with = plain.get("plugins")
        by = f"the run was made with the plugins in {made_with}; " if isinstance(made_with, str) else ""
        hint = f"{by}no plugin is taken from a run: --plugins-dir names the folder of those that you trust"
        raise UserErrors([UserError(error.what, where=path, hint=hint) for error in missing]) from errors


def _named(recipe: Mapping[str, object]) -> set[tuple[str, str]]:
    """Return the kinds and names of all components that the rows of a run's recipe name."""
    rows = recipe.get("rows")
    names: set[tuple[str, str]] = set()
    for row in rows.values() if isinstance(rows, Mapping) else ():
        sections = row if isinstance(row, Mapping) else {}
        for kind in KINDS.values():
            section = sections.get(kind.key)
            name = section.get("use") if isinstance(section, Mapping) else None
            names |= {(kind.name, name)} if isinstance(name, str) else set()
        evaluate = sections.get("evaluate")
        metrics = evaluate.get("metrics") if isinstance(evaluate, Mapping) else None
        names |= {("metric", name) for name in metrics or () if isinstance(name, str)}
    return names


def _not_there(registry: Registry, kind: str, name: str) -> UserError | None:
    try:
        registry.get(kind, name)
    except UserError as error:
        return error
    return None


def other_plugin(then: Mapping[str, str | None], now: Mapping[str, str | None], what: str) -> str | None:
    """Return how a plugin differs from the one that something was made with, in words; None when it does not.

    Args:
        then: its identity as it was recorded.
        now: its identity as it is installed.
        what: what was made with it: "run" or "model".
    """
    if not then:
        return None
    before, after = package(then), package(now)
    if before != after:
        return f"the {what} was made with {before}, {after} is installed"
    if then.get("source") != now.get("source"):
        return f"the source of the translator {now['name']!r} is not the one that the {what} was made with"
    return None


def package(identity: Mapping[str, str | None]) -> str:
    """Return the package that a component came with, and its version."""
    version = " ".join(filter(None, (identity.get("distribution"), identity.get("version"))))
    return version or "a one-file plugin"


def choose_row(
    run: TrainedRun, assembler: Assembler, wanted: str | None, retrieving: bool, adapts: Callable[[str], bool]
) -> tuple[str, str]:
    """Return the row to start from, and why it is this one.

    Args:
        wanted: its name; None for the last row whose strategy meta-trains, else the last that adapts.
        retrieving: whether, of those that meta-train, a row with a retriever is wanted, or one without. A row without
            needs neither the time nor the recipe's data.
        adapts: whether a row's strategy changes the general model.

    Raises:
        UserError: when there is no such row.
    """
    rows = run.recipe.rows
    if wanted is not None:
        if wanted not in rows:
            raise UserError(f"the run has no row {wanted!r}", where=run.folder, hint=did_you_mean(wanted, rows))
        return wanted, "as asked"
    meta = [name for name, row in rows.items() if assembler.strategy(row).meta]
    fitting = [name for name in meta if (rows[name].retriever is not None) == retrieving]
    if fitting:
        return fitting[-1], f"the last row that meta-trains and {'retrieves' if retrieving else 'does not retrieve'}"
    if meta:
        return meta[-1], "the last row that meta-trains"
    for name in reversed(rows):
        if adapts(name):
            return name, "the last row that adapts"
    raise UserError("no row of this run adapts to a scene", where=run.folder, hint="--row names one all the same")


def better_row(run: TrainedRun, chosen: str, adapts: Callable[[str], bool]) -> str | None:
    """Return which row that adapts was scored better than the chosen one, in words; None where none was, and where the
    run's folder does not say.

    Args:
        run: a finished run.
        chosen: the row to start from.
        adapts: whether a row's strategy changes the general model.
    """
    try:
        summary: Any = read_json(run.folder / SUMMARY)
        metric = summary["metric"]
        measure = summary["measures"][metric]
        means = {name: float(row[metric]["mean"]) for name, row in summary["rows"].items() if name in run.recipe.rows}
        sign = 1 if measure["higher_is_better"] else -1
        sets = summary.get("sets", {}).get("rows", {})
        sizes = {name: sets.get(name, {}).get(metric, {}).get("by_scene") for name in means}
        comparable = [name for name in means if sizes[name] == sizes[chosen]]  # sets of other sizes have other numbers
        ahead = [name for name in comparable if sign * means[name] > sign * means[chosen]]
        best = next(filter(adapts, sorted(ahead, key=lambda name: -sign * means[name])), None)
        if best is None:
            return None
        better, worse = (f"{means[name]:.{int(measure['digits'])}f}" for name in (best, chosen))
        return f"{best!r} was better in this run: {measure['title']} {better} against {worse}; --row takes it"
    except (UserError, KeyError, TypeError, ValueError):  # a folder that somebody has changed: the hint is left out
        return None


def general_model(
    run: TrainedRun, assembler: Assembler, name: str, *, iterations: int | None = None, lr: float | None = None
) -> TrainedModel:
    """Return the general model of a row as its training left it.

    Args:
        iterations: inner steps in the place of the row's.
        lr: the inner rate in the place of the row's.

    Raises:
        UserError: when the weights are nowhere or do not fit, when the recipe asks for a network far larger than
            theirs, or when the row cannot be adapted to pairs of photographs and label maps.
    """
    if lr is not None:
        check_range("--lr", lr, Positive)
    row = run.rows()[name]
    given = {key: value for key, value in (("iterations", iterations), ("lr", lr)) if value is not None}
    row = row.model_copy(update={"adapt": Adapt.model_validate({**row.adapt.model_dump(), **given})})
    spec = run.spec(name)
    registry, use, options = assembler.registry, row.translator.use, row.translator.options
    key, file = run.weights(name)
    tensors = read_weights(file, run.stores)  # `weights` has read it through
    weights = part("model", tensors)
    with no_larger_than(weights, f"the options of row {name!r}", file):
        gp = build_translator(registry, use, options, row.objective, spec, assembler.seed, precision=row.precision)
    freeze_begun(gp, row)
    gp.to(assembler.device)
    check_fields(use, gp, spec)
    # Neither the assembler's: data with references of its own has none for pairs from elsewhere, and may be gone.
    reference = exemplars_of(gp, spec, row.reference)
    augment = None if row.augment is None else Augment(**row.augment).of(spec.known_field)
    shown = None if is_unpaired(gp.needs, spec) else reference  # whose support has its exemplars already
    inner = Adaptation(**row.adapt.model_dump(), augment=augment, reference=shown)
    strategy_class = assembler.registry.get("strategy", row.strategy.use)
    strategy: MetaStrategy = construct(
        strategy_class, "strategy", row.strategy.use, inner=inner, **row.strategy.options
    )
    prepare_strategy(strategy, gp, assembler.seed)
    fit(gp, weights, file)
    learned = as_module(strategy.meta_parameters())
    if strategy.meta:
        fit(learned, part("strategy", tensors), file)
    return TrainedModel(name, row, spec, gp, strategy, reference, key)


def check_fields(use: str, translator: Translator, spec: TaskSpec) -> None:
    """Refuse a translator that reads more than files can give.

    Raises:
        UserError: naming the fields.
    """
    lacking = sorted(name for name in translator.needs if not readable_field(spec.known_field(name)))
    if lacking:
        raise UserError(
            f"the translator {use!r} needs {', '.join(lacking)}, which files of photographs, maps, ids and labels do "
            "not give"
        )
    if "structure" in translator.needs and spec.field("structure").kind == "onehot":
        check_classes(spec)


def exemplars_of(translator: Translator, spec: TaskSpec, settings: Mapping[str, Any]) -> Reference | None:
    """Return how images get exemplars from a support; None for a translator without them.

    Args:
        settings: the row's `reference`, whose list is of images that are not here.
    """
    wanted = [name for name in translator.needs if is_exemplars(name)]
    return Reference(**{**settings, "list": None}).of(wanted, spec.known_field) if wanted else None


def fit(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], where: Path) -> None:
    """Load weights.

    Raises:
        UserError: when they are those of another network.
    """
    try:
        load_weights(module, tensors)
    except RuntimeError as error:
        why = misfit(module, tensors) or " ".join(str(error).split())[:300]
        raise UserError(
            f"the weights do not fit the networks that the plugin builds now: {why}",
            where=where,
            hint="use the version of the plugin that they were trained with",
        ) from None
