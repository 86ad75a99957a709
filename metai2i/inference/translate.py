"""`metai2i translate`: label maps, or whatever a translator paints from, in, images out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.contact_sheet import MOST_CELLS, cell, save_sheet
from metai2i.data.images import save_photo
from metai2i.data.places import real_path
from metai2i.data.remarks import Remarks
from metai2i.data.spacing import evenly_spaced
from metai2i.errors import UserError
from metai2i.field import is_exemplars
from metai2i.files import check_folder
from metai2i.guards.faults import user_errors_from
from metai2i.inference.field_folders import FieldFolders, inputs_of, stacked
from metai2i.inference.model_file import AdaptedModel
from metai2i.inference.pair_folders import check_view, find_images, find_maps, read_field
from metai2i.randomness import Randomness
from metai2i.tasks import TaskSpec
from metai2i.translator import Step

SHEET = "contact.png"


@dataclass
class Painted:
    """What came of a folder of inputs.

    Args:
        images: that were written.
        bad: what is wrong with inputs that none could be made of.
        sheet: inputs above images; None where there are no images.
    """

    images: list[Path] = field(default_factory=list)
    bad: list[UserError] = field(default_factory=list)
    sheet: Path | None = None


class Inputs:
    """What images are made of: a file for each where there is one input, else a folder for each field.

    Args:
        place: a file, a folder of files, or a folder with a folder for each field.
        model: that paints them.

    Raises:
        UserError: when they are not there.
    """

    def __init__(self, place: Path, model: AdaptedModel) -> None:
        self.spec, needs = model.spec, model.translator.needs
        wanted = inputs_of(needs)
        exemplars = sorted(name for name in needs if is_exemplars(name))
        self._folders: FieldFolders | None = None
        if place.is_dir() and (len(wanted) != 1 or (place / wanted[0]).is_dir()):
            shown = exemplars if any((place / name).is_dir() for name in exemplars) else []
            self._folders = FieldFolders(place, [*wanted, *shown], model.spec)
            self.files = [self._folders.path(name) for name in self._folders.names]
        elif len(wanted) == 1 and model.spec.field(wanted[0]).is_image:
            self.only = wanted[0]
            is_photo = model.spec.field(self.only).kind == "photo"
            self.files = find_images(place) if is_photo else find_maps(place)
        else:
            check_folder(place, f"expected a folder with a folder for each of {', '.join(wanted)}")

    def read(self, number: int, remarks: Remarks) -> dict[str, Tensor]:
        """Return the fields of an input, by its place in `files`.

        Raises:
            UserError: naming the file, when it cannot be used.
        """
        if self._folders is not None:
            return self._folders.read(self._folders.names[number], remarks)
        return {self.only: read_field(self.files[number], self.only, self.spec, remarks)}


def shown_exemplar(model: AdaptedModel, photo: Path | None, label_map: Path | None) -> Batch | None:
    """Return the exemplar that all images are shown, one sample; None for those of the support.

    Args:
        photo: its photograph.
        label_map: its structure.

    Raises:
        UserError: when the translator has no exemplars or reads more of them, or for a file that cannot be used.
    """
    if photo is None:
        if label_map is not None:
            raise UserError("--reference-map goes with a photograph", hint="--reference names it")
        return None
    if model.reference is None:
        raise UserError(f"--reference: the translator {model.about['translator']['use']!r} is shown no exemplar")
    given = {"reference": photo} | ({} if label_map is None else {"reference_structure": label_map})
    names = set(model.reference.names)
    if "reference_structure" in names and label_map is None:
        hint = "--reference-map names it"
        raise UserError("--reference: the translator reads the exemplar's label map as well", hint=hint)
    if label_map is not None and "reference_structure" not in names:
        raise UserError("--reference-map: the translator does not read the exemplar's label map", hint="leave it out")
    if names > set(given):
        hint = "put the exemplar of each image into a folder for each field, beside the others"
        raise UserError(f"--reference: the translator reads {', '.join(sorted(names - set(given)))}, too", hint=hint)
    if label_map is not None:
        is_map = model.spec.field("structure").kind == "onehot"
        check_view(photo, label_map, exact_formats=is_map)
    return stacked([{name: read_field(path, name, model.spec) for name, path in given.items()}])


def targets(maps: Sequence[Path], out: Path, *, overwrite: bool) -> list[Path]:
    """Return where the images go, under the names of their inputs.

    Raises:
        UserError: when an input would be overwritten, or an image without being asked for it; or when `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise UserError("this is a file, expected a folder for the images", where=out)
    if any(real_path(path).parent == real_path(out) for path in maps):
        what = "the label maps are in this folder, and the outputs, which have their names, would replace them"
        raise UserError(what, where=out, hint="name another folder")
    outputs = [out / f"{path.stem}.png" for path in maps]
    clash = next((path for path, target in zip(maps, outputs, strict=True) if target.name == SHEET), None)
    if clash is not None:
        raise UserError(f"a map may not be called {SHEET}, as the sheet of all images is", where=clash)
    there = [target for target in (*outputs, out / SHEET) if target.exists()]
    if there and not overwrite:
        raise UserError(
            f"{len(there)} of the files to write are there already, {there[0].name} first", where=out,
            hint="--overwrite writes them anew; or name another folder",
        )  # fmt: skip
    return outputs


def paint_inputs(
    model: AdaptedModel,
    inputs: Inputs,
    outputs: Sequence[Path],
    batch: int,
    tell: Callable[[int], None] = lambda done: None,
    exemplar: Batch | None = None,
) -> Painted:
    """Make an image of every input that can be read, and a contact sheet.

    Args:
        inputs: what they are made of.
        outputs: where each image goes.
        batch: how many are made at once.
        tell: is called with how many inputs are behind it.
        exemplar: one sample of exemplars' fields that all are shown; None for those that inputs or support have.
    """
    out, painted, cells = outputs[0].parent, Painted(), []
    remarks, count = Remarks("label maps"), len(inputs.files)
    shown = set(evenly_spaced(count, MOST_CELLS))
    for at in range(0, count, batch):
        read: dict[int, dict[str, Tensor]] = {}
        for i in range(at, min(at + batch, count)):
            try:
                read[i] = inputs.read(i, remarks)
            except UserError as error:
                painted.bad.append(error)
        if read:
            step = Step(Randomness(("translate", at)), phase=model.translator.phases[-1])
            given = stacked(list(read.values()))
            if exemplar is not None:
                given = given.replace(**exemplar.select([0] * given.size))
            with user_errors_from(f"{inputs.files[min(read)].name}", out):
                images = model.paint(given, step).cpu()
            for image, (i, sample) in zip(images, read.items(), strict=True):
                save_photo(outputs[i], image)
                painted.images.append(outputs[i])
                cells += [input_cell(sample, image, model.spec)] if i in shown else []
        tell(min(at + batch, count))
    remarks.tell()
    if cells:
        painted.sheet = out / SHEET
        save_sheet(painted.sheet, cells)
    return painted


def input_cell(sample: Mapping[str, Tensor], image: Tensor, spec: TaskSpec) -> Tensor:
    """Return an input above its image: its label map, or else its photograph; the image alone where it has neither."""
    photo = next((sample[name] for name in sorted(sample) if spec.field(name).kind == "photo"), None)
    if "structure" in sample or photo is None:
        return cell(sample.get("structure"), image, spec)
    return cell(None, torch.cat([photo, image], dim=1), spec)
