"""`metai2i translate`: label maps in, images out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from metai2i.data.contact_sheet import MOST_CELLS, cell, save_sheet
from metai2i.data.images import save_photo
from metai2i.data.places import real_path
from metai2i.data.remarks import Remarks
from metai2i.data.spacing import evenly_spaced
from metai2i.errors import UserError
from metai2i.guards.faults import user_errors_from
from metai2i.inference.model_file import AdaptedModel
from metai2i.inference.pair_folders import read_map
from metai2i.randomness import Randomness
from metai2i.translator import Step

SHEET = "contact.png"


@dataclass
class Painted:
    """What came of a folder of maps.

    Args:
        images: that were written.
        bad: what is wrong with maps that none could be made of.
        sheet: maps above images; None where there are no images.
    """

    images: list[Path] = field(default_factory=list)
    bad: list[UserError] = field(default_factory=list)
    sheet: Path | None = None


def targets(maps: Sequence[Path], out: Path, *, overwrite: bool) -> list[Path]:
    """Return where the images go, under the names of their maps.

    Raises:
        UserError: when a map would be overwritten, or an image without being asked for it; or when `out` is a file.
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


def paint_maps(
    model: AdaptedModel,
    maps: Sequence[Path],
    outputs: Sequence[Path],
    batch: int,
    tell: Callable[[int], None] = lambda done: None,
) -> Painted:
    """Make an image of every map that can be read, and a contact sheet.

    Args:
        maps: the label maps.
        outputs: where each image goes.
        batch: how many are made at once.
        tell: is called with how many maps are behind it.
    """
    out, painted, cells = outputs[0].parent, Painted(), []
    remarks = Remarks("label maps")
    shown = set(evenly_spaced(len(maps), MOST_CELLS))
    for at in range(0, len(maps), batch):
        read: dict[int, Tensor] = {}
        for i in range(at, min(at + batch, len(maps))):
            try:
                read[i] = read_map(maps[i], model.spec, remarks)
            except UserError as error:
                painted.bad.append(error)
        if read:
            step = Step(Randomness(("translate", at)), phase=model.translator.phases[-1])
            with user_errors_from(f"{maps[min(read)].name}", out):
                images = model.paint(torch.stack(list(read.values())), step).cpu()
            for image, (i, structure) in zip(images, read.items(), strict=True):
                save_photo(outputs[i], image)
                painted.images.append(outputs[i])
                cells += [cell(structure, image, model.spec)] if i in shown else []
        tell(min(at + batch, len(maps)))
    remarks.tell()
    if cells:
        painted.sheet = out / SHEET
        save_sheet(painted.sheet, cells)
    return painted
