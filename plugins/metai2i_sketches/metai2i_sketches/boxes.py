"""Looking at the objects of scenes alone: what lies in a box, of a photograph and of an output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from metai2i import Adaptation, Batch, MetaStrategy, Move, Step, Translator
from metai2i.data import Size
from metai2i.meta import detach, instance_of
from metai2i_sketches.compose import Box

Part = tuple[float, float, float, float]
"""Left, top, right and bottom of a part of an image, in shares of its width and height."""
WHOLE: Part = (0.0, 0.0, 1.0, 1.0)
LEAST_SEEN = 0.5
"""The least share of a box that must be in an image for the box to count."""


def fitted_box(box: Box, natural: tuple[int, int], size: Size) -> Part | None:
    """Return where a box lies in an image that was resized and cut to its middle; None where less than half of it is
    still there.

    Args:
        box: in pixels of the image as it was.
        natural: (width, height) as it was.
        size: (height, width) as it is.
    """
    scale = max(size[1] / natural[0], size[0] / natural[1])
    edges = []
    for start, length, have, want in ((box[0], box[2], natural[0], size[1]), (box[1], box[3], natural[1], size[0])):
        cut_off = (have * scale - want) / 2
        low, high = ((place * scale - cut_off) / want for place in (start, start + length))
        edges.append((max(low, 0.0), min(high, 1.0), high - low))
    (left, right, width), (top, bottom, height) = edges
    seen = max(right - left, 0.0) * max(bottom - top, 0.0)
    return (left, top, right, bottom) if seen >= LEAST_SEEN * width * height else None


def cut(images: Tensor, parts: Tensor) -> Tensor:
    """Return a part of each image, resized to the image's size.

    Args:
        images: (B, C, H, W).
        parts: (B, 4), left, top, right and bottom in shares of width and height.
    """
    height, width = images.shape[-2:]
    scale = torch.tensor([width, height, width, height])
    cuts = []
    for image, part in zip(images, (parts.cpu() * scale).round().long().tolist(), strict=True):
        left, top = min(part[0], width - 1), min(part[1], height - 1)
        piece = image[:, top : max(part[3], top + 1), left : max(part[2], left + 1)]
        cuts.append(interpolate(piece[None], (height, width), mode="bilinear", align_corners=False, antialias=True)[0])
    return torch.stack(cuts)


class InBoxes(MetaStrategy):
    """Hands back what lies in the box of each sample (`box`), of an image that the general model has painted: for
    `sketch_scenes` with `judged: boxes`, by which the objects of scenes are scored alone. Nothing is adapted.
    """

    meta = False
    needs = frozenset({"box"})

    def __init__(self, *, inner: Adaptation) -> None:
        """Make it; it takes no inner step."""

    def adapt(self, gp: Translator, support: Batch, step: Step) -> Translator:
        """Return a copy that cuts its images."""
        return Cutter(detach(instance_of(gp)))


class Cutter(Translator):
    """Paints as another translator does, and hands back a part of each image.

    Args:
        painter: the other one.
    """

    def __init__(self, painter: Translator) -> None:
        super().__init__()
        self.painter, self.phases = painter, painter.phases
        self.needs = painter.needs | {"box"}  # type: ignore[misc]  # class attributes of others
        self.ways = {way: fields | {"box"} for way, fields in painter.ways.items()}  # type: ignore[misc]

    @property
    def samples(self) -> bool | frozenset[str]:
        """Return in which ways the other one draws."""
        return self.painter.samples

    def players(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return those of the other one."""
        return self.painter.players()

    def training_step(self, batch: Batch, step: Step) -> Iterator[Move]:
        """Yield no moves."""
        return iter(())

    def translate(self, batch: Batch, way: str | None = None) -> Tensor:
        """Return what lies in `batch["box"]`, (B, 3, H, W) in [-1, 1]."""
        images = self.painter.translate(batch) if way is None else self.painter.translate(batch, way)  # type: ignore[call-arg]
        return cut(images, batch["box"]).clamp(-1, 1)
