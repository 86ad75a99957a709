"""Grids: every input with every exemplar, as one image. Inputs stand on the left, exemplars above."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.contact_sheet import GAP, WIDEST, coloured, signed
from metai2i.data.images import id_colours, to_uint8
from metai2i.field import EXEMPLAR, Field, FieldLookup, is_exemplars
from metai2i.files import write_atomically
from metai2i.tasks import TaskSpec

GRID = "grid.png"
"""What the file of a grid is called."""
_MARGIN = 3 * GAP
"""Pixels between inputs or exemplars and what is made of them."""


def crossed(inputs: Batch, exemplars: Batch) -> Batch:
    """Return every input with every exemplar: the first input with each of them, then the second one, and so on.

    Args:
        inputs: N samples; what they have of exemplars of their own is left out.
        exemplars: M samples with the fields of exemplars alone.

    Returns:
        N * M samples.
    """
    lone = Batch(**{name: values for name, values in inputs.items() if not is_exemplars(name)})
    several = lone.map(lambda values: values.repeat_interleave(exemplars.size, 0))
    return several.replace(**exemplars.select(list(range(exemplars.size)) * inputs.size))


def input_image(sample: Batch, number: int, lookup: FieldLookup) -> Tensor | None:
    """Return what is shown of an input, (3, H, W) uint8: its label map, else a photograph, else any field with pixels;
    None where it has none.

    Args:
        sample: the inputs.
        number: which of them.
        lookup: knows what the fields are.
    """
    known = {name: kind for name in sorted(sample) if (kind := lookup(name)) is not None and kind.is_image}
    order = {"onehot": 0, "photo": 1}
    names = sorted(
        (name for name in known if not name.startswith(EXEMPLAR)), key=lambda name: order.get(known[name].kind, 2)
    )
    return field_image(sample[names[0]][number], known[names[0]]) if names else None


def field_image(values: Tensor, kind: Field) -> Tensor:
    """Return a field of one sample that has pixels as (3, H, W) uint8."""
    values = values.detach().cpu()
    if kind.kind == "photo":
        return to_uint8(values)
    if kind.kind == "ids":
        return id_colours(values).permute(2, 0, 1)
    return coloured(values, TaskSpec(len(values), (values.shape[-2], values.shape[-1]), palette=kind.palette))


def save_grid(path: Path, inputs: Sequence[Tensor | None], exemplars: Sequence[Tensor], outputs: Tensor) -> None:
    """Write a grid.

    Args:
        path: the file.
        inputs: N images (3, H, W) uint8, or None for an empty place.
        exemplars: M images (3, H, W) uint8.
        outputs: (N * M, 3, H, W) in [-1, 1], in the order of `crossed`.
    """
    cells = to_uint8(outputs).cpu()
    height, width = cells.shape[-2:]
    factor = -(-width // WIDEST)
    down, across = -(-height // factor), -(-width // factor)
    size = [
        GAP + (count + 1) * (side + GAP) + _MARGIN for count, side in ((len(exemplars), across), (len(inputs), down))
    ]
    sheet = Image.new("RGB", (size[0], size[1]), "white")

    def paste(image: Tensor | None, row: int, column: int) -> None:
        if image is not None:
            left = GAP + column * (across + GAP) + (_MARGIN if column else 0)
            top = GAP + row * (down + GAP) + (_MARGIN if row else 0)
            pixels = image[:, ::factor, ::factor].permute(1, 2, 0).contiguous().numpy()
            sheet.paste(Image.fromarray(pixels), (left, top))

    for column, exemplar in enumerate(exemplars):
        paste(exemplar, 0, column + 1)
    for row, image in enumerate(inputs):
        paste(image, row + 1, 0)
        for column in range(len(exemplars)):
            paste(cells[row * len(exemplars) + column], row + 1, column + 1)
    buffer = BytesIO()
    sheet.save(buffer, format="PNG", pnginfo=signed())
    write_atomically(path, lambda draft: draft.write_bytes(buffer.getvalue()))
