"""`metai2i translate`: label maps, or whatever a translator paints from, in, images out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.contact_sheet import MOST_CELLS, cell, save_sheet
from metai2i.data.exemplar_grid import GRID, crossed, input_image, save_grid
from metai2i.data.folders import subfolders
from metai2i.data.images import save_photo, to_uint8
from metai2i.data.pairs_in_folders import MAP_ENDINGS
from metai2i.data.places import real_path
from metai2i.data.remarks import Remarks
from metai2i.data.spacing import evenly_spaced
from metai2i.errors import UserError
from metai2i.field import EXEMPLAR, is_exemplars
from metai2i.files import LONGEST_NAME, check_folder
from metai2i.guards.faults import user_errors_from
from metai2i.inference.exemplars import Given, only_domain
from metai2i.inference.field_folders import FieldFolders, inputs_of, stacked
from metai2i.inference.label_inputs import LabelInputs
from metai2i.inference.model_file import AdaptedModel
from metai2i.inference.pair_folders import IMAGE_ENDINGS, find_images, find_maps, read_field
from metai2i.randomness import Randomness
from metai2i.tasks import TaskSpec
from metai2i.training.ways import exemplars_of_way, fields_of_way
from metai2i.translator import Step

SHEET = "contact.png"
GRID_INPUTS = 8
"""The most inputs of a grid."""
STACKED = 4
"""Outputs for one input on the sheet."""


@dataclass
class Painted:
    """What came of a folder of inputs.

    Args:
        images: that were written.
        bad: what is wrong with inputs that none could be made of.
        sheet: inputs above images; None where there are no images.
        grid: every input with every exemplar, where it was asked for.
    """

    images: list[Path] = field(default_factory=list)
    bad: list[UserError] = field(default_factory=list)
    sheet: Path | None = None
    grid: Path | None = None


class Inputs:
    """What images are made of: a file for each where there is one input, else a folder for each field. Where nothing
    says of which domain they are, no exemplar is shown and the support is of one domain, they are of that.

    Args:
        place: a file, a folder of files, or a folder with a folder for each field; a text, or a folder with one, where
            labels are all that is read.
        model: that paints them.
        way: in which the translator is asked, for it decides what is read; None for the model's.
        given: one sample of fields that all images have in common and no file is asked for; None for none.

    Raises:
        UserError: when they are not there.
    """

    def __init__(self, place: Path, model: AdaptedModel, way: str | None = None, given: Batch | None = None) -> None:
        self.place, self.spec, way = place, model.spec, model.way if way is None else way
        wanted = [name for name in inputs_of(fields_of_way(model.translator, way)) if name not in (given or ())]
        exemplars = sorted(exemplars_of_way(model.translator, way) - set(given or ()))
        self._domain: dict[str, Tensor] = {}
        if "domain" in wanted and not exemplars and not says_domains(place):
            only = only_domain(model, "domain")
            self._domain = {} if only is None else {"domain": only[0]}
            wanted = [name for name in wanted if name not in self._domain]
        self._folders: FieldFolders | None = None
        self._labels: LabelInputs | None = None
        if not any(model.spec.field(name).is_image for name in wanted):
            self._labels = LabelInputs(place, wanted, given, model.spec)
            self.files = [place / f"{name}.txt" for name in self._labels.names]
        elif place.is_dir() and (len(wanted) != 1 or (place / wanted[0]).is_dir()):
            shown = exemplars if any((place / name).is_dir() for name in exemplars) else []
            self._folders = FieldFolders(place, [*wanted, *shown], model.spec)
            self.files = [self._folders.path(name) for name in self._folders.names]
        elif len(wanted) == 1 and model.spec.field(wanted[0]).is_image:
            self.only = wanted[0]
            kind = model.spec.field(self.only).kind
            maps = IMAGE_ENDINGS if kind == "map" else MAP_ENDINGS
            self.files = find_images(place) if kind == "photo" else find_maps(place, maps)
        else:
            check_folder(place, f"expected a folder with a folder for each of {', '.join(wanted)}")

    @property
    def read_from(self) -> list[Path]:
        """Return the folders that inputs are read from besides those of `files`."""
        return [self.place, *subfolders(self.place)] if self._folders is not None else []

    def read(self, number: int, remarks: Remarks) -> dict[str, Tensor]:
        """Return the fields of an input, by its place in `files`.

        Raises:
            UserError: naming the file, when it cannot be used.
        """
        if self._labels is not None:
            return self._domain | self._labels.read(number)
        if self._folders is not None:
            return self._domain | self._folders.read(self._folders.names[number], remarks)
        return self._domain | {self.only: read_field(self.files[number], self.only, self.spec, remarks)}


def says_domains(place: Path) -> bool:
    """Return whether a text says of which domains inputs are."""
    return place.suffix == ".txt" or (place / "domain.txt").exists()


def targets(
    maps: Sequence[Path],
    out: Path,
    *,
    overwrite: bool,
    samples: int = 1,
    grid: bool = False,
    read_from: Sequence[Path] = (),
) -> list[list[Path]]:
    """Return where the images go, for each input its outputs: `NAME.png`, or `NAME_0.png` and so on of several.

    Args:
        read_from: folders of inputs besides those of `maps`.

    Raises:
        UserError: when an input would be overwritten, or an image without being asked for it; when `out` is a file, a
            name is too long, or two inputs have one name.
    """
    if out.exists() and not out.is_dir():
        raise UserError("this is a file, expected a folder for the images", where=out)
    if real_path(out) in {*(real_path(path).parent for path in maps), *map(real_path, read_from)}:
        what = "the label maps are in this folder, and the outputs, which have their names, would replace them"
        raise UserError(what, where=out, hint="name another folder")
    endings = [f"_{n}.png" for n in range(samples)] if samples > 1 else [".png"]
    outputs = [[out / f"{path.stem}{ending}" for ending in endings] for path in maps]
    sheets = {SHEET: "the sheet of all images"} | ({GRID: "the grid"} if grid else {})
    for path, targets_of in zip(maps, outputs, strict=True):
        clash = next((target.name for target in targets_of if target.name in sheets), None)
        if clash is not None:
            raise UserError(f"a map may not be called {clash}, as {sheets[clash]} is", where=path)
        if len(os.fsencode(targets_of[-1].name)) > LONGEST_NAME:
            what = f"the name is too long for {samples} images of it, which end in {endings[-1]}"
            raise UserError(what, where=path, hint="give it a shorter name")
    every = [target for targets_of in outputs for target in targets_of]
    by_target: dict[Path, Path] = {}
    for path, targets_of in zip(maps, outputs, strict=True):
        other = by_target.setdefault(targets_of[0], path)
        if other is not path:
            what = f"this has the name of {other}, and both would be written as {targets_of[0].name}"
            raise UserError(what, where=path, hint="give one of them another name")
    there = [target for target in (*every, *(out / name for name in sheets)) if target.exists()]
    if there and not overwrite:
        raise UserError(
            f"{len(there)} of the files to write are there already, {there[0].name} first", where=out,
            hint="--overwrite writes them anew; or name another folder",
        )  # fmt: skip
    return outputs


def paint_inputs(
    model: AdaptedModel,
    inputs: Inputs,
    outputs: Sequence[Sequence[Path]],
    batch: int,
    tell: Callable[[int], None] = lambda done: None,
    given: Given | None = None,
) -> Painted:
    """Make the images of every input that can be read, and a contact sheet; and a grid, where it was asked for.

    Args:
        inputs: what they are made of.
        outputs: where each input's images go; several where the translator draws.
        batch: how many are made at once.
        tell: is called with how many inputs are behind it.
        given: what all images have in common; None for nothing, in the model's way.

    Raises:
        UserError: when several images are asked for, and the translator makes the same one each time; nothing is
            written then.
    """
    given = Given(model, model.way) if given is None else given
    out, painted, cells = outputs[0][0].parent, Painted(), []
    remarks, count = Remarks("label maps"), len(inputs.files)
    shown = set(evenly_spaced(count, MOST_CELLS))
    first: list[dict[str, Tensor]] = []
    for at in range(0, count, batch):
        read: dict[int, dict[str, Tensor]] = {}
        for i in range(at, min(at + batch, count)):
            try:
                read[i] = inputs.read(i, remarks)
            except UserError as error:
                painted.bad.append(error)
        if read:
            first += list(read.values())[: GRID_INPUTS - len(first)] if given.exemplars is not None else []
            with user_errors_from(f"{inputs.files[min(read)].name}", out):
                images = painted_samples(given, stacked(list(read.values())), at, len(outputs[0]))
            if not painted.images:
                given.check_drawn(images)
            for of_input, (i, sample) in zip(images, read.items(), strict=True):
                for image, path in zip(of_input, outputs[i], strict=True):
                    save_photo(path, image)
                    painted.images.append(path)
                above = torch.cat(list(of_input[:STACKED]), dim=1)
                cells += [input_cell(sample, above, model.spec)] if i in shown else []
        tell(min(at + batch, count))
    remarks.tell()
    if cells:
        painted.sheet = out / SHEET
        save_sheet(painted.sheet, cells)
    if first and given.exemplars is not None:
        painted.grid = out / GRID
        with user_errors_from("the grid", out):
            paint_grid(painted.grid, given, stacked(first), batch)
    return painted


def painted_samples(given: Given, batch: Batch, at: int, samples: int) -> Tensor:
    """Return the outputs for some inputs, (B, S, 3, H, W), on the CPU; all for one input by the same exemplar.

    Args:
        given: the model, and what all images have in common.
        batch: the inputs.
        at: the place of the first of them, which decides what is drawn.
        samples: how many for each.
    """
    whole = given.model.with_exemplars(given.of(batch), sample_step(given, at), given.way)
    outputs = [given.model.paint(whole, sample_step(given, at, n), given.way).cpu() for n in range(samples)]
    return torch.stack(outputs, dim=1)


def painted_sample(given: Given, batch: Batch, n: int) -> Tensor:
    """Return the output of the number `n` for inputs that come first, (B, 3, H, W), on the CPU: what `painted_samples`
    gives there.
    """
    whole = given.model.with_exemplars(given.of(batch), sample_step(given, 0), given.way)
    return given.model.paint(whole, sample_step(given, 0, n), given.way).cpu()


def sample_step(given: Given, at: int, n: int = 0) -> Step:
    """Return where the sample of a number takes what it draws from, for inputs of which the first is the one at a
    place.
    """
    address = ("translate", at, n) if n else ("translate", at)
    return Step(Randomness(address), phase=given.model.translator.phases[-1])


def paint_grid(path: Path, given: Given, inputs: Batch, size: int) -> None:
    """Write every input with every exemplar.

    Args:
        path: the file.
        given: the model, and the exemplars of the grid.
        inputs: some inputs; of folders with exemplars of their own, these are the grid's.
        size: how many images are made at once.
    """
    exemplars = given.exemplars
    assert exemplars is not None
    lone = Batch(**{name: values for name, values in inputs.items() if is_exemplars(name)})
    exemplars = lone if EXEMPLAR in lone and given.is_supports else exemplars
    every = crossed(given.of(inputs), exemplars)
    parts = [range(at, min(at + size, every.size)) for at in range(0, every.size, size)]
    steps = [
        Step(Randomness(("translate", "grid", n)), phase=given.model.translator.phases[-1]) for n in range(len(parts))
    ]
    outputs = torch.cat(
        [given.model.paint(every.select(part), step, given.way).cpu() for part, step in zip(parts, steps, strict=True)]
    )
    left = [input_image(inputs, n, given.model.spec.known_field) for n in range(inputs.size)]
    save_grid(path, left, list(to_uint8(exemplars[EXEMPLAR]).cpu()), outputs)


def input_cell(sample: Mapping[str, Tensor], image: Tensor, spec: TaskSpec) -> Tensor:
    """Return an input above its image: its label map, or else its photograph; the image alone where it has neither."""
    photo = next((sample[name] for name in sorted(sample) if spec.field(name).kind == "photo"), None)
    if "structure" in sample or photo is None:
        return cell(sample.get("structure"), image, spec)
    return cell(None, torch.cat([photo, image], dim=1), spec)
