"""`metai2i export`: a run, or an adapted model, by one of the exporters that plugins hand over."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from metai2i.batch import Batch
from metai2i.errors import UserError
from metai2i.exporter import Exporter, ModelContent
from metai2i.exporting.run_content import run_content
from metai2i.field import PHOTOGRAPH
from metai2i.files import draft_name, refuse_existing, write_atomically
from metai2i.guards.faults import user_errors_from
from metai2i.inference.exemplars import wished_way
from metai2i.inference.field_folders import inputs_of
from metai2i.inference.model_file import AdaptedModel, read_adapted
from metai2i.pipeline.assemble import construct
from metai2i.registry import Registry
from metai2i.registry.options import check_options
from metai2i.run_folder.at_work import check_run_folder
from metai2i.training.ways import fields_of_way, handed_over
from metai2i.translator import Step

EXPORT_MARK = ".metai2i-export"
"""A file in folders that an exporter has written, by which they may be replaced."""


@dataclass(frozen=True)
class ExportRequest:
    """What is asked for.

    Args:
        what: the folder of a run, or the file of an adapted model.
        to: the name of an exporter.
        out: the file or folder to write; None for one beside `what`.
        options: of the exporter.
        way: in which a translator is asked; None for the model's.
        general: the file of the general model, for a model that is kept apart from it.
        overwrite: whether `out` may be there.
    """

    what: Path
    to: str
    out: Path | None = None
    options: Mapping[str, Any] | None = None
    way: str | None = None
    general: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class Exported:
    """What has come of it: where it is, None for elsewhere, and a sentence that tells what to do with it, or None."""

    place: Path | None
    sentence: str | None


def export(wish: ExportRequest, registry: Registry) -> Exported:
    """Hand a run or a model to an exporter; nothing is half-written.

    Raises:
        UserError: when the exporter or its library is not there, does not take this, or cannot export it.
    """
    exporter = exporter_of(wish.to, wish.options or {}, registry)
    check_taken(wish, exporter)
    place = target_of(wish, exporter)
    content: Any = run_content(wish.what) if exporter.takes == "run" else model_content(wish, registry)
    sentence = write_by(exporter, wish.to, content, place, wish.what)
    shown = place if place is not None else wish.what
    return Exported(place, None if sentence is None else str(sentence).replace("{out}", str(shown)))


def exporter_of(name: str, options: Mapping[str, Any], registry: Registry) -> Exporter:
    """Return an exporter whose library is there.

    Raises:
        UserError: with the command that installs what is missing.
    """
    exporter_class: type[Exporter] = registry.get("exporter", name)
    lacking = [module for module in exporter_class.modules if not is_there(module)]
    if lacking:
        hint = exporter_class.install or f"pip install {' '.join(lacking)}"
        raise UserError(f"--to {name} needs {', '.join(lacking)}, which is not installed", hint=hint)
    exporter: Exporter = construct(exporter_class, "exporter", name, **check_options(exporter_class, options))
    return exporter


def is_there(module: str) -> bool:
    """Return whether a module can be imported, without importing it."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def check_taken(wish: ExportRequest, exporter: Exporter) -> None:
    """Refuse a model where a run is wanted, and the other way round.

    Raises:
        UserError: saying what is wanted.
    """
    if exporter.takes == "run":
        if wish.way is not None or wish.general is not None:
            option = "--way" if wish.way is not None else "--general"
            raise UserError(f"{option} is for models, and --to {wish.to} takes a run", hint=f"leave {option} out")
        if wish.what.is_file():
            what = f"this is a file, and --to {wish.to} takes the folder of a run"
            raise UserError(what, where=wish.what, hint="--to onnx and --to torch take models")
        check_run_folder(wish.what)


def target_of(wish: ExportRequest, exporter: Exporter) -> Path | None:
    """Return what is to be written, None for what goes elsewhere.

    Raises:
        UserError: when it is there and may not be replaced, or has another ending.
    """
    ending = exporter.ending
    # "." and ".." have no name of their own; what has one is written beside it as it was named.
    what = wish.what if wish.what.name not in ("", "..") else Path(os.path.abspath(wish.what))
    if ending is None:
        if wish.out is not None:
            problem = f"--out: --to {wish.to} writes no file of its own"
            raise UserError(problem, hint="leave --out out; the library's own settings say where it goes")
        return None
    if ending.endswith("/"):
        place = wish.out or what.with_name(what.name + ending.removesuffix("/"))
        check_replaceable(place, overwrite=wish.overwrite)
        return place
    stem = what.name if exporter.takes == "run" else what.stem
    place = wish.out or what.parent / f"{stem}{ending}"
    if place.suffix != ending:
        raise UserError(f"--out: got {str(place)!r}, expected the name of a {ending} file")
    if place.is_dir():
        raise UserError("this is a folder, expected a file to write", where=place)
    refuse_existing([place], overwrite=wish.overwrite)
    return place


def check_replaceable(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that holds something.

    Raises:
        UserError: unless it is what an exporter has written, and may be replaced.
    """
    if folder.is_file():
        raise UserError("this is a file, expected a folder to write", where=folder)
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not (folder / EXPORT_MARK).is_file():
        what = "this folder holds something else than `metai2i export` has written"
        raise UserError(what, where=folder, hint="--out names another")
    refuse_existing([folder], overwrite=overwrite)


def model_content(wish: ExportRequest, registry: Registry) -> ModelContent:
    """Return an adapted model with two samples of its inputs.

    Raises:
        UserError: when it is none, or has no such way.
    """
    model = read_adapted(wish.what, registry, torch.device("cpu"), general=wish.general)
    way = wished_way(model, wish.way)
    model.translator.precision = "fp32"
    model.translator.eval().requires_grad_(False)
    return ModelContent(model, way, samples_of(model, way))


def samples_of(model: AdaptedModel, way: str | None) -> Batch:
    """Return two samples of what a model reads in a way, of its support; one of them twice where it has only one."""
    support = model.support.select([0, model.support.size - 1])
    wanted = fields_of_way(model.translator, way)
    named = [name for name in inputs_of(wanted) if name in support] or [PHOTOGRAPH]
    inputs = model.with_exemplars(Batch(**{name: support[name] for name in named}), Step(), way)
    given = handed_over(model.translator, inputs, way)
    return Batch(**{name: values.contiguous() for name, values in given.items() if name in wanted})


def write_by(exporter: Exporter, name: str, content: Any, place: Path | None, what: Path) -> object:
    """Let an exporter write, and put what it has written in its place.

    Raises:
        UserError: for whatever it raises, naming it.
    """
    with user_errors_from(f"the exporter {name!r}", None):
        if place is None:
            return exporter.export(content, what)
        if str(exporter.ending).endswith("/"):
            return written_folder(exporter, content, place)
        sentences: list[object] = []
        write_atomically(place, lambda draft: sentences.append(exporter.export(content, draft)))
        return sentences[0]


def written_folder(exporter: Exporter, content: Any, place: Path) -> object:
    """Let an exporter write a folder beside the place that it then takes, in one step where nothing was there."""
    place = place.absolute()
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=draft_name(place.name), dir=place.parent))
    try:
        sentence = exporter.export(content, draft)
        (draft / EXPORT_MARK).touch()
        draft.chmod(0o755)
        if place.exists():
            shutil.rmtree(place)
        draft.replace(place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return sentence
