"""Pictures on disk: photographs, and label maps in their colours."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from metai2i.files import write_atomically
from metai2i.tasks import TaskSpec


def slug(text: str) -> str:
    """A name that is safe as a file name and an address: "Pix2pix (5-shot)" becomes "pix2pix-5-shot"."""
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-.") or "x"


def to_uint8(photo: Tensor) -> Tensor:
    """(..., H, W) in [-1, 1] to uint8, rounded."""
    return ((photo.detach().cpu().float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def save_photo(path: Path, photo: Tensor) -> None:
    """Writes a (3, H, W) photo in [-1, 1] as PNG."""
    _save(path, to_uint8(photo).permute(1, 2, 0).numpy())


def save_map(path: Path, structure: Tensor, spec: TaskSpec) -> None:
    """Writes a (C, H, W) one-hot label map in the source's colours (in grey levels where it has none)."""
    ids = structure.argmax(0).cpu().numpy()
    count = max(structure.shape[0], 2)
    palette = spec.palette or tuple((v, v, v) for v in (255 * i // (count - 1) for i in range(count)))
    _save(path, np.asarray(palette, dtype=np.uint8)[ids])


def _save(path: Path, pixels: np.ndarray) -> None:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    write_atomically(path, lambda draft: draft.write_bytes(buffer.getvalue()) and None)
