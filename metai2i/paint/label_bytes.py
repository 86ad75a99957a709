"""Label maps as the page has them: a class id for each pixel as raw bytes, row by row from the top.

A byte for each pixel, or two with the lower first where there are more than 256 classes. Colours are only for looking
at.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from metai2i.data.photographs import Colour
from metai2i.errors import UserError

SHORT, LONG = "<u1", "<u2"


def kind_of_ids(classes: int) -> str:
    """Return the numpy type of class ids on their way."""
    return SHORT if classes <= 256 else LONG


def ids_of(body: bytes, size: tuple[int, int], classes: int) -> np.ndarray:
    """Return a map from its bytes: (H, W) int64.

    Raises:
        UserError: for bytes of another size, and for an id that no class has.
    """
    kind = np.dtype(kind_of_ids(classes))
    height, width = size
    if len(body) != height * width * kind.itemsize:
        each = "one" if kind.itemsize == 1 else "two"
        raise UserError(
            f"got a map of {len(body):,} bytes, expected {height * width * kind.itemsize:,}: {each} for each pixel of "
            f"{height}x{width}"
        )
    ids = np.frombuffer(body, kind).astype(np.int64).reshape(size)
    if ids.max() >= classes:
        row, column = np.argwhere(ids >= classes)[0].tolist()
        raise UserError(
            f"the pixel in row {row}, column {column} has the class id {ids[row, column]}, expected 0 to {classes - 1}"
        )
    return ids


def bytes_of(ids: np.ndarray, classes: int) -> bytes:
    """Return the bytes of a map (H, W)."""
    return ids.astype(kind_of_ids(classes)).tobytes()


def one_hot(ids: np.ndarray, classes: int) -> Tensor:
    """Return a map as translators read it: (C, H, W) float."""
    return torch.nn.functional.one_hot(torch.from_numpy(ids), classes).permute(2, 0, 1).float()


def map_png(ids: np.ndarray, classes: int, colours: Sequence[Colour]) -> bytes:
    """Return a map as a PNG file of class ids, in a palette of the classes' colours where there are no more than 256 of
    them, else in grey of 16 bits.
    """
    if classes > 256:
        return _png(Image.fromarray(ids.astype(np.uint16)))
    image = Image.fromarray(ids.astype(np.uint8))
    image.putpalette([level for colour in colours for level in colour])
    return _png(image)


def pixels_png(pixels: Tensor) -> bytes:
    """Return pixels (3, H, W) uint8 as a PNG file, byte for byte as `metai2i translate` writes its images."""
    return _png(Image.fromarray(pixels.permute(1, 2, 0).contiguous().cpu().numpy()))


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
