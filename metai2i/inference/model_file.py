"""An adapted model in a file of its own: networks, the pairs that it was adapted to, and all that makes it run again.

One safetensors file: parameters and buffers under `model.`, the support under `support.` (class ids and photographs as
bytes), everything else as JSON in the header. Nothing is ever unpickled, and no data set is needed.

Where many scenes share a general model, that goes into a file of its own, and a scene's file has, under `kept.`, only
what is the scene's (`MetaStrategy.kept`): of adapters of low rank that is kilobytes.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.reference import Reference
from metai2i.errors import UserError
from metai2i.field import PHOTOGRAPH, exemplified, is_exemplars
from metai2i.guards.fault_report import error_in_words
from metai2i.guards.faults import NOBODYS
from metai2i.inference.field_folders import inputs_of
from metai2i.inference.model_header import (
    APART,
    FORMAT,
    GENERAL,
    GENERALS,
    ChosenTranslator,
    GeneralFile,
    GeneralPart,
    ModelRecord,
    check_support,
    digest_of,
    no_larger_than,
    read_header,
)
from metai2i.inference.paint_options import check_painting
from metai2i.inference.pair_folders import read_map
from metai2i.inference.support_bytes import packed_support, unpacked_support
from metai2i.inference.trained_run import check_fields, exemplars_of, fit, package
from metai2i.losses.objective import Objective
from metai2i.pipeline.assemble import build_translator
from metai2i.recipe.schema import Row
from metai2i.registry import Registry
from metai2i.registry.options import OptionErrors, check_options, plain_options
from metai2i.run_folder.spec_json import SpecPart, spec_data
from metai2i.scene_state import overlaid
from metai2i.tasks import TaskSpec
from metai2i.training.checkpoint import digest, load, load_state, part, prefixed, save
from metai2i.training.driving import translate
from metai2i.training.ways import exemplars_of_way, fields_of_way, way_or_first, ways_of
from metai2i.translator import Step, Translator

HALF_A_LEVEL = 0.5 / 127.5
"""Of 8 bits, for values in [-1, 1]: what two machines may differ by without a difference in the image."""


@dataclass(frozen=True)
class AdaptedModel:
    """A translator that knows one scene.

    Args:
        translator: adapted.
        spec: the data's, for which it was built.
        support: the samples that it was adapted to: `target` (N, 3, H, W) in [-1, 1], `structure` (N, C, H, W) where
            the data has it, and what else the translator reads.
        reference: how images get exemplars from the support; None for translators without them.
        about: what the file says of itself.
    """

    translator: Translator
    spec: TaskSpec
    support: Batch
    reference: Reference | None
    about: ModelRecord

    @property
    def way(self) -> str | None:
        """Return the way in which it is asked unless somebody wishes for another; None for its only one."""
        return way_or_first(self.translator, self.about.get("way"))

    def read_map(self, path: Path | str) -> Tensor:
        """Return the label map of a file as the translator takes it: (C, H, W), one-hot.

        Raises:
            UserError: when it cannot be read, or has classes that the data does not have.
        """
        return read_map(Path(path), self.spec)

    def paint(self, given: Tensor | Batch, step: Step | None = None, way: str | None = None) -> Tensor:
        """Return the images (B, 3, H, W) in [-1, 1] for label maps (B, C, H, W), on the device of the translator.

        Args:
            given: the label maps, one-hot; or a batch of all fields that the translator reads. Exemplars that it has
                are shown, otherwise some of the support.
            step: where a translator that draws takes its random numbers from; the same numbers every time when None.
            way: in which the translator is asked; `self.way` when None.

        Raises:
            UserError: for a way that the translator does not have.
        """
        step = Step() if step is None else step
        way = self.way if way is None else way
        batch = self.with_exemplars(given if isinstance(given, Batch) else Batch(structure=given), step, way)
        device = next((p.device for p in self.translator.parameters()), torch.device("cpu"))
        return translate(self.translator, batch.to(device), step, way)

    def with_exemplars(self, batch: Batch, step: Step, way: str | None = None) -> Batch:
        """Return a batch with the exemplars that the translator is shown in a way: its own where it has them, else some
        of the support.

        Args:
            batch: the inputs.
            step: where the choice is drawn from.
            way: `self.way` when None.
        """
        wanted = exemplars_of_way(self.translator, self.way if way is None else way)
        if self.reference is None or wanted <= set(batch):
            return batch
        rng = step.rng.at("reference")
        return batch.replace(**self.reference.for_query(batch, self.support, rng, unseen=True))


def description(
    row: Row, spec: TaskSpec, plugin: Mapping[str, str | None], origin: Mapping[str, object]
) -> ModelRecord:
    """Return what an adapted model's file says of itself.

    Args:
        row: the row whose general model was adapted.
        plugin: the identity of the translator's plugin.
        origin: how it came about (run, row, support), JSON-able.
    """
    # An image's own photograph is never there to be shown, whatever the recipe was scored with.
    reference = {**row.reference, "test": "support", "list": None}
    record = ModelRecord(
        format=FORMAT,
        translator=ChosenTranslator(use=row.translator.use, options=plain_options(row.translator.options)),
        precision=row.precision,
        objective=plain_options(row.objective),
        reference=plain_options(reference),
        spec=spec_data(spec),
        plugin=dict(plugin),
        made=dict(origin),
    )
    if row.evaluate.way is not None:
        record["way"] = row.evaluate.way
    return record


def save_adapted(path: Path, translator: Translator, support: Batch, about: ModelRecord) -> None:
    """Write an adapted model, atomically.

    Args:
        support: `target` (N, 3, H, W) in [-1, 1], and what else the data has and the translator reads.
    """
    _save(path, {**prefixed("model", translator.state_dict()), **prefixed("support", _in_bytes(support, about))}, about)


@dataclass(frozen=True)
class Own:
    """What is a scene's own of its model.

    Args:
        kept: the tensors (`MetaStrategy.kept`).
        strategy: the name of the strategy that restores the model from them; None for tensors that are put in the
            place of the general model's.
        digest: of the general model that they go with.
    """

    kept: Mapping[str, Tensor]
    strategy: str | None
    digest: str


def save_apart(path: Path, changes: Own, support: Batch, about: ModelRecord, general: Path) -> None:
    """Write what is a scene's own, atomically; the general model is in the file `general`, named relative to it."""
    place = GeneralFile(file=os.path.relpath(general.absolute(), path.absolute().parent), digest=changes.digest)
    apart: ModelRecord = {**about, "format": APART, "general": place, "restored_by": changes.strategy}
    _save(path, {**prefixed("kept", changes.kept), **prefixed("support", _in_bytes(support, about))}, apart)


def _save(path: Path, tensors: Mapping[str, Tensor], about: ModelRecord) -> None:
    save(path, tensors, {**about, "tensors": digest_of(tensors)})


def save_general(path: Path, gp: Translator) -> None:
    """Write a general model that scenes share, unless the file holds it already.

    Raises:
        UserError: when the file holds something else.
    """
    hashed = digest(gp)
    if not path.exists():
        save(path, prefixed("model", gp.state_dict()), {"format": GENERAL, "digest": hashed})
    elif _general(path)[1] != hashed:
        raise UserError("this file holds another general model", where=path, hint="name another file")


def read_adapted(
    path: Path,
    registry: Registry,
    device: torch.device,
    *,
    general: Path | None = None,
    painting: Mapping[str, object] = {},
) -> AdaptedModel:
    """Read an adapted model.

    Args:
        general: the file of the general model, for models that are kept apart from it; None for where it was when the
            model was written.
        painting: options of the translator that matter for images alone (`paint_options`), other than they were.

    Raises:
        UserError: when the file is no such model, when the translator's plugin is missing or does not fit, or for an
            option that training depends on.
    """
    check_model_file(path)
    try:
        tensors, about = load(path, check=False)  # the header has a digest of the tensors, which is held against them
    except UserError:
        raise UserError("this is no adapted model", where=path, hint="`metai2i adapt` makes them") from None
    try:
        return _loaded(path, tensors, about, registry, device, general, painting)
    except UserError as error:
        raise error if error.where is not None else UserError(error.what, where=path, hint=error.hint) from error
    except (Exception, RecursionError) as error:
        what = f"this adapted model is damaged: {type(error).__name__}: {error_in_words(error)[:200]}"
        raise UserError(what, where=path) from error


def _loaded(
    path: Path,
    tensors: Mapping[str, Tensor],
    about: object,
    registry: Registry,
    device: torch.device,
    general: Path | None,
    painting: Mapping[str, object],
) -> AdaptedModel:
    """Return the model of a file that has been read."""
    header = read_header(about)
    if header.tensors not in (None, digest_of(tensors)):
        raise UserError("this adapted model is damaged: its tensors are not those that were written")
    spec, use, plugin = header.spec.task_spec(), header.translator.use, header.plugin.model_dump()
    pairs = part("support", tensors)
    check_support(pairs, spec)
    reference = _settings(Reference, {**header.reference, "list": None}, "reference")
    objective = _settings(Objective, header.objective, "objective")
    try:
        translator_class = registry.get("translator", use)
    except UserError as error:
        hint = f"install {package(plugin)}" if plugin.get("distribution") else "--plugins-dir names its folder"
        what = f"it was made with the translator {use!r} of {package(plugin)}: {error.what}"
        raise UserError(what, hint=hint) from None
    check_painting(translator_class, use, painting)
    options = check_options(translator_class, {**header.translator.options, **painting})
    file, whole = (
        (path, part("model", tensors)) if header.general is None else _general_of(path, header.general, general)
    )
    with no_larger_than(whole):
        translator = build_translator(registry, use, options, objective, spec, precision=header.precision)
    check_fields(use, translator, spec)
    if header.way is not None and header.way not in translator.ways:
        what = f"it was made to be asked in the way {header.way!r}, which the translator {use!r} does not have"
        raise UserError(what, hint=f"it has {', '.join(translator.ways)}" if translator.ways else None)
    fit(translator, whole, file)
    if header.general is not None:
        if digest(translator) != header.general.digest:
            raise UserError("this general model is damaged: its weights are not those that were written", where=file)
        translator = _restored(translator, part("kept", tensors), registry, header.restored_by)
    shown_fields = [name for name in translator.needs if is_exemplars(name) and name not in pairs]
    lacking = sorted({exemplified(name) for name in shown_fields} - set(pairs))
    if lacking:
        raise UserError(f"this adapted model is damaged: it has no support.{lacking[0]}, which exemplars are made of")
    shown = exemplars_of(translator, spec, reference)
    return AdaptedModel(translator.to(device), spec, unpacked_support(pairs, spec), shown, cast(ModelRecord, about))


def check_model_file(path: Path) -> None:
    """Refuse what is no file, and say how an adapted model is made.

    Raises:
        UserError: for the folder of a run, any other folder, and what is not there.
    """
    if (path / "recipe.yaml").is_file() or (path / "results.csv").is_file():
        command = shlex.join(["metai2i", "adapt", str(path), "--support", "DIR", "--out", "MODEL.safetensors"])
        what = "this is the folder of a run, expected the file of a model that is adapted to a scene"
        raise UserError(what, where=path, hint=f"`{command}` makes one of it")
    if path.is_dir():
        within = sorted(file.name for file in path.glob("*.safetensors"))
        hint = f"did you mean {path / within[0]}?" if within else "`metai2i adapt` makes adapted models"
        raise UserError("this is a folder, expected the file of an adapted model", where=path, hint=hint)
    if not path.is_file():
        raise UserError("there is no such file", where=path, hint="`metai2i adapt` makes adapted models")


def is_adapted(path: Path) -> bool:
    """Return whether a file is an adapted model, as its header says."""
    about = load_state(path)
    return isinstance(about, dict) and about.get("format") in (FORMAT, APART)


def check_faithful(model: AdaptedModel, again: AdaptedModel) -> None:
    """Refuse a model whose file does not paint what the model itself paints.

    Raises:
        UserError: when state of the translator is neither in parameters nor in buffers.
    """
    step = Step(phase=model.translator.phases[-1])
    sample = model.support.select([0])
    for way in ways_of(model.translator):
        inputs = inputs_of(fields_of_way(model.translator, way))
        given = Batch(**{name: sample[name] for name in inputs or [PHOTOGRAPH]})
        first, second = (each.paint(given, step, way) for each in (model, again))
        if torch.allclose(first, second, atol=HALF_A_LEVEL):
            continue
        raise UserError(
            f"the translator {type(model.translator).__name__} paints other images once it has been written to a file "
            "and read back",
            hint="its plugin keeps state that is neither a parameter nor a buffer",
        )


def _settings(kind: type, given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the checked settings of a part of the header.

    Raises:
        UserError: with the part's name.
    """
    try:
        return check_options(kind, given)
    except OptionErrors as errors:
        first = errors.problems[0].under(name)
        raise UserError(f"this adapted model is damaged: {first.sentence()}", hint=first.hint) from None


def _general_of(path: Path, part: GeneralPart, general: Path | None) -> tuple[Path, dict[str, Tensor]]:
    """Return the file of the general model of a scene's file, and its tensors.

    Raises:
        UserError: when it is not there, or holds another one.
    """
    place = general or path.absolute().parent / part.file
    if not place.is_file():
        raise UserError(
            f"the general model of {path.name} is not there", where=place, hint="--general names the file that holds it"
        )
    tensors, hashed = _general(place)
    if hashed != part.digest:
        raise UserError(f"this is not the general model that {path.name} was adapted from", where=place)
    return place, tensors


def _restored(
    translator: Translator, kept: Mapping[str, Tensor], registry: Registry, strategy: str | None
) -> Translator:
    """Return the scene's model, of its general model and what is the scene's own.

    Args:
        strategy: the name of the strategy that restores it; None for tensors that are put in the place of others.
    """
    try:
        if strategy is None:
            return overlaid(translator, kept)
        strategy_class: Any = registry.get("strategy", strategy)
        restored: Any = strategy_class.restored(translator, kept)
    except (UserError, *NOBODYS):
        raise
    except BaseException as error:
        raise UserError(f"this adapted model does not fit its general model: {error_in_words(error)}") from error
    if not isinstance(restored, Translator):
        raise UserError(
            f"restored() of {strategy_class.__name__} gives {type(restored).__name__}, expected a Translator"
        )
    return restored


def _general(path: Path) -> tuple[dict[str, Tensor], str]:
    """Return the tensors of a general model's file, and the digest of the model that they were written from."""
    try:
        tensors, about = load(path)
    except UserError:
        about = load_state(path)
        damaged = isinstance(about, dict) and about.get("format") == GENERAL
        cause = "this general model is damaged: it was changed after it was written, or cut short"
        what = cause if damaged else "this is no general model"
        raise UserError(what, where=path, hint="`metai2i adapt --general` makes them") from None
    name = about.get("format") if isinstance(about, dict) else None
    if isinstance(name, str) and name != GENERAL and name.startswith(GENERALS):
        what = f"its format is {name[:60]!r}, of another version of metai2i; this version reads {GENERAL!r}"
        raise UserError(what, where=path, hint="use the version that wrote it, or make it anew")
    if name != GENERAL or not isinstance(about, dict):
        raise UserError("this is no general model", where=path, hint="`metai2i adapt --general` makes them")
    return part("model", tensors), str(about.get("digest"))


def _in_bytes(support: Batch, about: ModelRecord) -> dict[str, Tensor]:
    return packed_support(support, SpecPart.model_validate(about["spec"]).task_spec())
