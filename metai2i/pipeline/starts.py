"""`start` of a row: parts of its translator that begin with weights of another training, or of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from metai2i.errors import Location, UserError, did_you_mean
from metai2i.guards.fault_report import error_in_words
from metai2i.guards.faults import NOBODYS
from metai2i.pipeline.stage_weights import read_weights, trained_weights
from metai2i.recipe.schema import WHOLE, Row, Start
from metai2i.registry.discovery import label_of
from metai2i.run_folder.at_work import check_run_folder
from metai2i.run_folder.files import LIST
from metai2i.run_folder.record import Provenance, read_record
from metai2i.training.checkpoint import Named, part
from metai2i.training.start_weights import digest_of_tensors
from metai2i.training.tensor_files import read_tensor_file
from metai2i.translator import Translator

MOST_SHOWN = 3
"""How many names of tensors a message has."""
Place = Location | Path | str | None


def in_order(row: Row) -> list[tuple[str, Start]]:
    """Return the parts of a row that begin with other weights; a part inside another one comes later, and wins."""
    given = [(name, start) for name, start in row.start.items() if start is not None]
    return sorted(given, key=lambda item: (item[0] != WHOLE, item[0].count("."), item[0]))


def part_module(translator: Translator, name: str) -> nn.Module:
    """Return the part of a translator of that name.

    Raises:
        UserError: with the nearest one, when there is none.
    """
    if name == WHOLE:
        return translator
    modules: dict[str, nn.Module] = {path: module for path, module in translator.named_modules() if path}
    if name not in modules:
        known = [path for path in modules if path.count(".") <= name.count(".")]
        hint = did_you_mean(name, modules) or ""
        if not hint.startswith("did"):
            hint = f"its parts: {', '.join(known)}; {WHOLE} is all of it"
        raise UserError(f"{type(translator).__name__} has no part {name!r}", hint=hint)
    return modules[name]


def wanted_tensors(translator: Translator, name: str) -> Named:
    """Return the tensors of a part, by their names in it.

    Raises:
        UserError: when there is no such part, or nothing in it.
    """
    state = part_module(translator, name).state_dict()
    tensors = {key: tensor for key, tensor in state.items() if isinstance(tensor, Tensor)}
    if not tensors:
        raise UserError(f"the part {name!r} of {type(translator).__name__} has no tensors")
    return tensors


def begun_tensors(
    translator: Translator, name: str, start: Start, stores: Sequence[Path], where: Place = None
) -> Named:
    """Return what a part begins with, of a file or of another run: its own tensors, of their types and shapes.

    Args:
        translator: that has the part.
        name: of the part.
        start: where its weights come from.
        stores: where stages of the run may lie.
        where: it is said, for messages.

    Raises:
        UserError: when they are not there or do not fit.
    """
    if start.file is not None:
        tensors, source, taken = of_file(translator, name, start, where), start.file, start.part
    else:
        tensors, source = of_run(name, start, stores, where), f"row {start.row!r} of {start.run}"
        taken = start.part or (None if name == WHOLE else name)
    return fitting(tensors, translator, name, source, where, taken)


def of_file(translator: Translator, name: str, start: Start, where: Place) -> Mapping[str, Tensor]:
    """Return the tensors of a file under the translator's own names.

    Raises:
        UserError: when the file cannot be read, has no such part, or the translator fails at it.
    """
    assert start.file is not None
    translator_class = type(translator)
    try:
        tensors = read_tensor_file(Path(start.file))
    except UserError as error:
        raise UserError(f"{start.file}: {error.what}", where=where, hint=error.hint) from error
    taken = tensors if start.part is None else part(start.part, tensors)
    if not taken:
        parts = list(dict.fromkeys(key.rpartition(".")[0].partition(".")[0] or key for key in tensors))
        hint = did_you_mean(str(start.part), parts)
        raise UserError(f"{start.file} has no tensors under {start.part!r}", where=where, hint=hint)
    try:
        renamed = translator.adopted(name, taken)
    except (UserError, *NOBODYS):
        raise
    except BaseException as error:
        raise UserError(
            f"adopted() of {translator_class.__name__} raised {type(error).__name__} for {start.file}: "
            f"{error_in_words(error)}",
            where=where,
            hint=f"it is of {label_of(translator_class)}",
        ) from error
    if not isinstance(renamed, Mapping) or not all(isinstance(each, Tensor) for each in renamed.values()):
        what = f"adopted() of {translator_class.__name__} gives {type(renamed).__name__}, expected tensors by name"
        raise UserError(what, where=where, hint=f"it is of {label_of(translator_class)}")
    return renamed


def of_run(name: str, start: Start, stores: Sequence[Path], where: Place) -> Named:
    """Return the tensors of a part of the general model of another run's row.

    Raises:
        UserError: when the run, the row, its weights or the part is not there.
    """
    assert start.run is not None
    folder = Path(start.run)
    try:
        provenance = provenance_of(folder)
        check_run_row(provenance, folder, str(start.row))
        places = [*stores, folder.absolute().parent / ".stages"]
        _, file = trained_weights(provenance, str(start.row), places, folder, "run it again")
        model = part("model", read_weights(file, places))
    except UserError as error:
        raise UserError(str(UserError(error.what, where=error.where)), where=where, hint=error.hint) from error
    return of_model(model, start.part or name, f"row {start.row!r} of {start.run}", where)


def provenance_of(folder: Path) -> Provenance:
    """Return what a finished run says of itself.

    Raises:
        UserError: when the folder is not there, or is not that of a run.
    """
    check_run_folder(folder)
    if not (folder / LIST).is_file():
        raise UserError(f"the folder has no {LIST}", where=folder, hint="expected the folder of a finished run")
    return read_record(folder / LIST, Provenance)[0]


def check_run_row(provenance: Provenance, folder: Path, row: str) -> None:
    """Refuse a row that a run does not have.

    Raises:
        UserError: with the nearest one.
    """
    rows = list(dict.fromkeys(name for stage in provenance.stages for name in stage.rows))
    if row not in rows:
        raise UserError(f"the run has no row {row!r}", where=folder, hint=did_you_mean(row, rows))


def of_model(model: Mapping[str, Tensor], name: str, source: str, where: Place) -> Named:
    """Return the tensors of a part of a general model, by their names in the part.

    Raises:
        UserError: when it has no such part.
    """
    taken = dict(model) if name == WHOLE else part(name, model)
    if not taken:
        parts = sorted({key[: n + 1].rpartition(".")[0] for key in model for n, c in enumerate(f"{key}.") if c == "."})
        near = did_you_mean(name, filter(None, parts))
        whole = ", ".join(each for each in parts if each and "." not in each)
        hint = near if near and near.startswith("did") else f"its parts: {whole}"
        raise UserError(f"the model of {source} has no part {name!r}", where=where, hint=hint)
    return taken


def fitting(
    tensors: Mapping[str, Tensor],
    translator: Translator,
    name: str,
    source: str | Path,
    where: Place = None,
    taken: str | None = None,
) -> Named:
    """Return tensors in the types of a part's own, whose names and shapes they must have.

    Args:
        tensors: by name.
        translator: that has the part.
        name: of the part.
        source: where they are from, for messages.
        where: the recipe says it, for messages.
        taken: the part of the source that they are of, for the hint.

    Raises:
        UserError: for what is missing, what is not known, other shapes, and numbers that are not finite.
    """
    wanted = wanted_tensors(translator, name)
    wrong = [*_other_names(tensors, wanted, name), *_other_shapes(tensors, wanted)]
    if wrong:
        raise UserError(
            f"the weights of {source} do not fit {_called(translator, name)}: {'; '.join(wrong)}",
            where=where,
            hint=_remedy(tensors, wanted, name, type(translator), taken),
        )
    wild = [key for key, each in tensors.items() if each.is_floating_point() and not bool(torch.isfinite(each).all())]
    if wild:
        raise UserError(f"the weights of {source} have NaN or infinite values in {_few(wild)}", where=where)
    return {key: tensors[key].detach().cpu().to(each.dtype).clone() for key, each in wanted.items()}


def _called(translator: Translator, name: str) -> str:
    whole = type(translator).__name__
    return whole if name == WHOLE else f"{name} of {whole}"


def _other_names(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], name: str) -> list[str]:
    missing = [key for key in wanted if key not in tensors]
    extra = [key for key in tensors if key not in wanted]
    said = []
    if missing:
        said.append(f"{len(missing)} of its {len(wanted)} tensors are missing ({_few(missing)})")
    if extra:
        near = did_you_mean(extra[0], missing) if 0 < len(missing) < len(wanted) else None
        also = f", {near}" if near and near.startswith("did") else ""
        said.append(f"{len(extra)} are not known ({_few(extra)}{also})")
    return said


def _other_shapes(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    both = [key for key in wanted if key in tensors]
    other = [key for key in both if tensors[key].shape != wanted[key].shape]
    if other:
        first = other[0]
        shapes = f"{first} should be {tuple(wanted[first].shape)}, got {tuple(tensors[first].shape)}"
        return [f"{len(other)} have other shapes ({shapes})"]
    kinds = [key for key in both if tensors[key].is_floating_point() != wanted[key].is_floating_point()]
    return [f"{kinds[0]} should be {wanted[kinds[0]].dtype}, got {tensors[kinds[0]].dtype}"] if kinds else []


def _remedy(
    tensors: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    name: str,
    translator_class: type[Translator],
    taken: str | None,
) -> str | None:
    """Return what to write where the tensors are there under a longer name; `taken` is the part that they are of."""
    first = next(iter(wanted))
    for key in tensors:
        if key.endswith(f".{first}"):
            prefix = key[: -len(first) - 1]
            inside = part(prefix, tensors)
            if all(each in inside and inside[each].shape == tensor.shape for each, tensor in wanted.items()):
                longer = ".".join(filter(None, (taken, prefix)))
                return f"they are there under {longer!r}: start.{name}: {{part: {longer}}}"
    if not set(tensors) & set(wanted):
        return f"adopted() of {translator_class.__name__} renames tensors of other programs, if it knows them"
    return None


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_SHOWN]) + (", ..." if len(names) > MOST_SHOWN else "")


def check_starts(
    row: Row, translator: Translator, others: Mapping[str, Callable[[], Translator]], stores: Sequence[Path],
    places: Mapping[str, Location],
) -> None:  # fmt: skip
    """Refuse weights that are not there or do not fit, before anything is trained.

    Args:
        row: whose they are.
        translator: of the row.
        others: make the translators of the recipe's rows, by name.
        stores: where stages of other runs may lie.
        places: where the recipe says it, by part.

    Raises:
        UserError: saying what does not fit, with its place.
    """
    for name, start in in_order(row):
        where = places.get(name)
        try:
            part_module(translator, name)
            if start.file is not None or start.run is not None:
                begun_tensors(translator, name, start, stores, where)
            else:
                given = of_model(others[str(start.row)]().state_dict(), start.part or name, f"row {start.row!r}", where)
                fitting(given, translator, name, f"row {start.row!r}", where)
        except UserError as error:
            raise UserError(f"start.{name}: {error.what}", where=error.where or where, hint=error.hint) from error


def start_digest(translator: Translator, name: str, start: Start, stores: Sequence[Path]) -> str:
    """Return a hash of what a part begins with, of a file or of another run, wherever that lies.

    Raises:
        UserError: as `begun_tensors`.
    """
    return digest_of_tensors(begun_tensors(translator, name, start, stores))


def under(name: str, tensors: Mapping[str, Tensor]) -> Named:
    """Return the tensors of a part under their names in the whole translator."""
    return dict(tensors) if name == WHOLE else {f"{name}.{key}": tensor for key, tensor in tensors.items()}


def freeze_begun(translator: Translator, row: Row) -> None:
    """Turn gradients off for the parameters of parts that began with other weights and belong to no player: nobody
    trains them, so copies may share them.
    """
    names = [name for name, _ in in_order(row)]
    if not names:
        return
    owned = {id(parameter) for parameters in translator.players().values() for parameter in parameters}
    for path, parameter in translator.named_parameters():
        begun = any(name == WHOLE or path.startswith(f"{name}.") for name in names)
        if begun and id(parameter) not in owned:
            parameter.requires_grad_(False)
