"""A sheet of what scenes are adapted to and scored on: support and queries as a run draws them, maps in colours.

Of data without pairs the support are exemplars, and the queries inputs, above what they should become where that is
known.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.contact_sheet import GAP, cell, is_sheet, signed
from metai2i.data.sampling import Sampling
from metai2i.data_tools.dataset_check import INPUT, first_photograph
from metai2i.errors import UserError
from metai2i.field import EXEMPLAR, PHOTOGRAPH
from metai2i.files import write_atomically
from metai2i.pipeline.assemble import Assembler, scored_tasks
from metai2i.randomness import Randomness
from metai2i.recipe import Row
from metai2i.tasks import Episode, TaskSpec

_SCENES = 6
"""Of so many scenes a sheet shows something."""
_SHOWN = 6
"""So many pairs of a support, and so many queries."""
_HEAD = 18
"""Pixels above each line of images, for the scene's name."""
_BETWEEN = 24
"""Pixels between the support and the queries."""


def check_sheet_path(path: Path) -> None:
    """Refuse a place for a sheet that is no PNG file's, or where a file lies that is no sheet of ours.

    Raises:
        UserError: naming it.
    """
    if path.suffix.lower() != ".png":
        raise UserError(f"a sheet is written to a .png file, got {path.name!r}")
    if not path.absolute().parent.is_dir():
        raise UserError("there is no such folder", where=path.parent)
    if path.is_dir() or (path.exists() and not is_sheet(path)):
        raise UserError("a contact sheet would be written over this", where=path, hint="--sheet names another file")


def drawn_episodes(row: Row, assembler: Assembler) -> list[Episode]:
    """Return the first episodes that a row is scored on, as a run with this recipe draws them.

    Raises:
        UserError: when there are no scenes, a scene is too short, or a file cannot be read.
    """
    sampling = Sampling(assembler.augment(row), field=assembler.field(row))
    tasks = scored_tasks(row, assembler)[:_SCENES]
    if not tasks:
        raise UserError(f"there is no sheet: the split {row.evaluate.split!r} has no scenes")
    return [
        sampling.episode(
            task,
            row.test_shots,
            row.test_queries,
            Randomness((assembler.seed, "evaluate", task.id, 0)),
            unseen=True,
        )
        for task in tasks
    ]


def save_episode_sheet(path: Path, episodes: Sequence[Episode], spec: TaskSpec) -> None:
    """Write a line for each episode: its support on the left, its queries on the right; at most six of each.

    Args:
        path: of the file.
        episodes: as a run draws them.
        spec: of their data.

    Raises:
        UserError: when no sample has anything that can be shown, or the file cannot be written.
    """
    unpaired = INPUT in spec.fields
    of_support = [EXEMPLAR] if unpaired else [first_photograph(episodes[0].support, spec)]
    of_query = [INPUT, PHOTOGRAPH] if unpaired else of_support
    lines = [
        (episode.task, _cells(episode.support, spec, of_support), _cells(episode.query, spec, of_query))
        for episode in episodes
    ]
    every = [image for _, support, query in lines for image in (*support, *query)]
    if not every:
        raise UserError("there is no sheet: no sample has a photograph or a structure")
    height, width = (max(image.shape[side] for image in every) for side in (-2, -1))
    left = max(len(support) for _, support, _ in lines)
    right = max(len(query) for *_, query in lines)
    middle = GAP + left * (width + GAP) + _BETWEEN
    sheet = Image.new("RGB", (middle + right * (width + GAP), len(lines) * (_HEAD + height + GAP) + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default()
    for n, (name, support, query) in enumerate(lines):
        top = GAP + n * (_HEAD + height + GAP)
        pen.text((GAP, top), _plain(f"{name}: {'exemplars' if unpaired else 'support'}"), fill="black", font=font)
        pen.text((middle, top), "inputs" if unpaired else "queries", fill="black", font=font)
        for begin, images in ((GAP, support), (middle, query)):
            for place, image in enumerate(images):
                pixels = image.permute(1, 2, 0).contiguous().numpy()
                sheet.paste(Image.fromarray(np.ascontiguousarray(pixels)), (begin + place * (width + GAP), top + _HEAD))
    buffer = BytesIO()
    sheet.save(buffer, format="PNG", pnginfo=signed())
    write_atomically(path, lambda draft: draft.write_bytes(buffer.getvalue()))


def _cells(batch: Batch, spec: TaskSpec, photographs: Sequence[str]) -> list[Tensor]:
    """Return the first samples, each as its label map above its photographs; none where it has neither."""
    structure, photos = batch.get("structure"), [batch[name] for name in photographs if name in batch]
    if structure is None and not photos:
        return []
    return [
        torch.cat(
            [
                *([] if structure is None else [cell(structure[n], None, spec)]),
                *(cell(None, photo[n], spec) for photo in photos),
            ],
            dim=1,
        )
        for n in range(min(batch.size, _SHOWN))
    ]


def _plain(text: str) -> str:
    """Return a text in the letters that the built-in font has."""
    return text.encode("ascii", "replace").decode("ascii")
