"""`TwinScene`: images of a class, each with images of other classes that show the same thing in the same place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from metai2i import Batch, Field, Randomness, Task
from metai2i.data import content_digests

TWIN_FIELDS = frozenset({"source", "target", "domain", "mask", "twin", "twin_domain", "twin_mask"})
"""The fields of samples."""


@dataclass(frozen=True)
class Masked:
    """The files of an image.

    Args:
        path: of the image.
        number: of its class.
        mask: the file of the mask that shows its object; None where the image's own file tells.
    """

    path: Path
    number: int
    mask: Path | None = None


ReadMasked = Callable[[Masked], np.ndarray]
"""Gives an image and its mask, (H, W, 4) uint8."""


def twin_kinds(names: tuple[str, ...]) -> Mapping[str, Field]:
    """Return what the fields of samples are that are not as usual.

    Args:
        names: of the classes.
    """
    label, photo, mask = Field("label", len(names), names), Field("photo"), Field("map", 1)
    return {"domain": label, "twin_domain": label, "twin": photo, "mask": mask, "twin_mask": mask}


class TwinScene(Task):
    """The images of a class with their twins: a sample is `source`, its `domain` and the `mask` of its object, and
    `twin`, `twin_domain` and `twin_mask`. `target` is the source once more: what an autoencoder is to give.

    Of several twins `load` always takes the same, `draw` one by chance. An image without any is its own twin.

    Args:
        id: the scene's.
        samples: each image with its twins.
        read: gives an image and its mask.
        reading: what decides, beside the files, how images turn out; a version and the size, say.
    """

    def __init__(
        self, id: str, samples: Sequence[tuple[Masked, tuple[Masked, ...]]], read: ReadMasked, *, reading: str
    ) -> None:
        self.id, self.samples, self.read, self.reading = id, tuple(samples), read, reading

    def __len__(self) -> int:
        return len(self.samples)

    def load(self, indices: Sequence[int]) -> Batch:
        """Return images (N, 3, H, W) in [-1, 1], masks (N, 1, H, W) in [0, 1] and numbers of classes (N,).

        Raises:
            UserError: naming the file, for one that cannot be read.
        """
        return self._batch([(self.samples[int(index)][0], self._twin(int(index))) for index in indices])

    def draw(self, index: int, rng: Randomness) -> Batch:
        """Return the image at `index` with any of its twins, for plain training: one sample.

        Args:
            index: of the sample.
            rng: the address of the draw.
        """
        image, twins = self.samples[index]
        if not twins:
            return self.load([index])
        return self._batch([(image, twins[int(torch.randint(len(twins), (1,), generator=rng.generator()))])])

    @property
    def files(self) -> Sequence[Path]:
        """Return the files of each image and of the twin that `load` gives it."""
        pairs = [(image, self._twin(index)) for index, (image, _) in enumerate(self.samples)]
        return [each.path for pair in pairs for each in pair]

    def fingerprint(self) -> str:
        """Return names and contents of all files that the scene may show, and how they are read."""
        every = [image for first, twins in self.samples for image in (first, *twins)]
        files = [path for image in every for path in (image.path, image.mask) if path is not None]
        names = [(first.number, first.path.name, [each.number for each in twins]) for first, twins in self.samples]
        return repr((self.reading, names, content_digests(files)))

    def _twin(self, index: int) -> Masked:
        image, twins = self.samples[index]
        return twins[index % len(twins)] if twins else image

    def _batch(self, pairs: Sequence[tuple[Masked, Masked]]) -> Batch:
        first, second = zip(*pairs, strict=True)
        source, mask = self._images(first)
        twin, twin_mask = self._images(second)
        return Batch(
            source=source,
            target=source,
            domain=torch.tensor([image.number for image in first]),
            mask=mask,
            twin=twin,
            twin_domain=torch.tensor([image.number for image in second]),
            twin_mask=twin_mask,
        )

    def _images(self, images: Sequence[Masked]) -> tuple[Tensor, Tensor]:
        levels = torch.from_numpy(np.stack([self.read(image) for image in images])).permute(0, 3, 1, 2)
        levels = levels.to(torch.float32).div_(255)  # (N, 4, H, W)
        return (levels[:, :3] * 2 - 1).contiguous(), levels[:, 3:].contiguous()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r}, {len(self)} images)"
