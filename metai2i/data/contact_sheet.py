"""Contact sheets: small images side by side, for a look over many."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from metai2i.data.images import class_colours, to_uint8
from metai2i.files import write_atomically
from metai2i.tasks import TaskSpec

MOST_CELLS = 40
"""Cells on a sheet."""
WIDEST = 256
"""The largest width of a cell, in pixels; wider ones are shrunk."""
GAP = 4
"""Pixels between two cells."""
SIGNATURE = ("Software", "metai2i contact sheet")
"""What stands in the file of every sheet."""


def cell(structure: Tensor | None, photo: Tensor | None, spec: TaskSpec) -> Tensor:
    """Return a label map above its image.

    Args:
        structure: (C, H, W), one-hot or continuous in [0, 1]; None where there is none.
        photo: (3, H, W) in [-1, 1]; None where there is none, but not of both.

    Returns:
        (3, 2H, W) uint8, (3, H, W) of one of the two alone; shrunk to a width of 256 where it is wider.
    """
    parts = [] if structure is None else [coloured(structure.detach().cpu(), spec)]
    parts += [] if photo is None else [to_uint8(photo).cpu()]
    whole = torch.cat(parts, dim=1)
    factor = -(-whole.shape[-1] // WIDEST)
    return whole[:, ::factor, ::factor]


def coloured(structure: Tensor, spec: TaskSpec) -> Tensor:
    """Return a structure (C, H, W) as (3, H, W) uint8: label maps in the data's colours, or in grey levels where it has
    none, pixels without a class in black; a continuous one of three channels as red, green and blue, and others as the
    mean of their channels.
    """
    if not is_label_map(structure):
        shown = structure if len(structure) == 3 else structure.mean(0).expand(3, -1, -1)
        return (shown.clamp(0, 1) * 255).round().to(torch.uint8)
    palette = torch.tensor(class_colours(len(structure), spec.palette), dtype=torch.uint8)
    colours = palette[structure.argmax(0)].permute(2, 0, 1)
    return colours * structure.any(0)


def is_label_map(structure: Tensor) -> bool:
    """Return whether each pixel of a structure (..., C, H, W) has one class or none."""
    values = structure.detach().cpu().numpy()  # which compares several times as fast
    whole = ((values == 0) | (values == 1)).all() and (structure.sum(-3) <= 1).all()
    return bool(whole) and structure.shape[-3] > 1


def save_sheet(path: Path, cells: Sequence[Tensor], across: int | None = None) -> None:
    """Write cells of one size side by side.

    Args:
        path: of the file.
        cells: (3, H, W) uint8.
        across: how many stand in a row; None for rows that make the sheet about as wide as it is high.
    """
    height, width = cells[0].shape[-2:]
    across = across or max(1, round((len(cells) * height / width) ** 0.5))
    down = -(-len(cells) // across)
    sheet = Image.new("RGB", (GAP + across * (width + GAP), GAP + down * (height + GAP)), "white")
    for n, cell in enumerate(cells):
        place = (GAP + n % across * (width + GAP), GAP + n // across * (height + GAP))
        sheet.paste(Image.fromarray(cell.permute(1, 2, 0).contiguous().numpy()), place)
    buffer = BytesIO()
    sheet.save(buffer, format="PNG", pnginfo=signed())
    write_atomically(path, lambda draft: draft.write_bytes(buffer.getvalue()))


def is_sheet(path: Path) -> bool:
    """Return whether a file is a sheet of ours, which may be replaced by another."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return image.info.get(SIGNATURE[0]) == SIGNATURE[1]
    except (OSError, ValueError, SyntaxError):
        return False


def signed() -> PngInfo:
    """Return what stands in the file of a sheet beside its pixels, by which it is known as one of ours."""
    info = PngInfo()
    info.add_text(*SIGNATURE)
    return info
