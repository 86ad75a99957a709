"""Images on disk: photographs, and label maps in their colours."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from metai2i.field import Field
from metai2i.files import write_atomically
from metai2i.tasks import TaskSpec


def slug(text: str) -> str:
    """Return a name that is safe as a file name and an address: "Pix2pix (5-shot)" becomes "pix2pix-5-shot"."""
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-.") or "x"


def slugs(names: Iterable[str], taken: Collection[str] = ()) -> dict[str, str]:
    """Return a folder of its own for every name: its slug, and a short hash of the name where another name has that
    slug already, where it is `taken`, or where it is too long for a file system.

    All are small ASCII letters, at most 120 of them, so they differ on file systems that take A and a for one too.
    """
    by_slug: dict[str, str] = {}
    used = set(taken)
    for name in names:
        if name in by_slug:
            continue
        short, rest = slug(name), hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        if short in used or len(short) > 100:
            short = short[:100]
            short = next(tried for n in range(8, 18) if (tried := f"{short}-{rest[:n]}") not in used)
        used.add(short)
        by_slug[name] = short
    return by_slug


def channels_first(images: Sequence[np.ndarray]) -> Tensor:
    """Return images (H, W, C) of 256 levels in one tensor: (N, C, H, W) float32 in [0, 255]."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(torch.float32).contiguous()


def as_photographs(images: Sequence[np.ndarray]) -> Tensor:
    """Return images (H, W, 3) of 256 levels as photographs are in batches: (N, 3, H, W) in [-1, 1]."""
    return channels_first(images).div_(127.5).sub_(1.0)


def to_uint8(photo: Tensor) -> Tensor:
    """Convert (..., H, W) in [-1, 1] to uint8, rounded to the nearest level; what lies outside is clipped."""
    return ((photo.detach().float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def save_photo(path: Path, photo: Tensor) -> None:
    """Write a (3, H, W) photo in [-1, 1] as PNG."""
    _save(path, to_uint8(photo).permute(1, 2, 0).cpu().numpy())


def save_map(path: Path, structure: Tensor, spec: TaskSpec) -> None:
    """Write a (C, H, W) structure: a one-hot label map in the source's colours (in grey levels where it has none), a
    continuous one of three channels as red, green and blue, and others as the mean of their channels.
    """
    if not bool(((structure == 0) | (structure == 1)).all() and (structure.sum(0) == 1).all()):
        shown = structure.permute(1, 2, 0) if len(structure) == 3 else structure.mean(0)
        _save(path, (shown.detach().clamp(0, 1) * 255).round().byte().cpu().numpy())
        return
    ids = structure.argmax(0).cpu().numpy()
    _save(path, np.asarray(class_colours(structure.shape[0], spec.palette), dtype=np.uint8)[ids])


def class_colours(count: int, palette: Sequence[tuple[int, int, int]] = ()) -> Sequence[tuple[int, int, int]]:
    """Return the colours in which `count` classes are shown: the data's, or grey levels where it has none."""
    return palette or [(level, level, level) for level in (255 * n // max(count - 1, 1) for n in range(count))]


def save_field(path: Path, values: Tensor, field: Field) -> None:
    """Write a field of one sample that has pixels: a photograph as it is, a map in colours or as the mean of its
    channels, ids each in a colour of its own, 0 in black.
    """
    if field.kind == "photo":
        save_photo(path, values)
    elif field.kind == "ids":
        _save(path, id_colours(values).cpu().numpy())
    else:
        save_map(path, values, TaskSpec(field.channels, (values.shape[-2], values.shape[-1]), palette=field.palette))


def id_colours(ids: Tensor) -> Tensor:
    """Return a colour for each id (H, W), the same for the same id in every image: (H, W, 3) uint8, 0 in black."""
    mixed = torch.stack([ids * factor // 7 % 200 + 56 for factor in (97 * 7, 57 * 7 + 3, 151 * 7 + 5)], dim=-1)
    return (mixed * (ids != 0)[..., None]).to(torch.uint8)


def _save(path: Path, pixels: np.ndarray) -> None:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    write_atomically(path, lambda draft: draft.write_bytes(buffer.getvalue()))
