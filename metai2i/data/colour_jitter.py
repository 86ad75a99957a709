"""`ColourJitter`: other colours for training scenes, so that something about a scene is told by its support alone."""

from __future__ import annotations

import copy
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from metai2i.batch import Batch
from metai2i.bounds import Share, check_range
from metai2i.field import FieldLookup, standard_field
from metai2i.randomness import Randomness

HalfCircle = Annotated[float, Field(ge=0, le=0.5)]
"""A share of the colour circle, to either side."""


class ColourJitter:
    """Changes brightness, contrast, saturation, hue and tint of photographs: all of an episode alike.

    Where training scenes look alike (one camera, one weather) a model can learn everything about their colours without
    ever looking at a support, and has nothing to adapt to. Episodes with looks of their own make it depend on the
    support again (a meta-augmentation, after Rajendran, Irpan and Jang, "Meta-Learning Requires Meta-Augmentation",
    2020). In plain training each pair has a look of its own. Scenes that are adapted to and scored keep theirs.

    Args:
        brightness: photographs are multiplied by a factor from [1 - brightness, 1 + brightness].
        contrast: likewise, the distance from their mean grey.
        saturation: likewise, the distance from their own grey.
        hue: colours are turned by a share of the colour circle from [-hue, hue]; at most 0.5.
        tint: each of red, green and blue is multiplied by a factor of its own from [1 - tint, 1 + tint].

    Raises:
        UserError: when one is out of its range.
    """

    def __init__(
        self,
        *,
        brightness: Share = 0.3,
        contrast: Share = 0.3,
        saturation: Share = 0.5,
        hue: HalfCircle = 0.0,
        tint: Share = 0.15,
    ) -> None:
        self.amounts = {
            "brightness": brightness,
            "contrast": contrast,
            "saturation": saturation,
            "hue": hue,
            "tint": tint,
        }
        self._field: FieldLookup = standard_field
        for name, amount in self.amounts.items():
            check_range(f"colour_jitter.{name}", amount, HalfCircle if name == "hue" else Share)

    def of(self, lookup: FieldLookup) -> ColourJitter:
        """Return the same jitter for data whose fields `lookup` knows; without it the standard names decide."""
        same = copy.copy(self)
        same._field = lookup
        return same

    def __call__(self, batch: Batch, rng: Randomness) -> Batch:
        """Return the batch with its photographs (`target`, `reference`, `source`; (B, 3, H, W) in [-1, 1]) in one look.

        Args:
            rng: the address of the look: batches that are given the same one look alike.
        """
        drawn = 2 * torch.rand(7, generator=rng.generator()) - 1
        known = {name: self._field(name) for name in batch}
        names = [name for name, field in known.items() if field is not None and field.kind == "photo"]
        return batch.replace(**{name: self._seen(batch[name], drawn) for name in names})

    def each(self, batch: Batch, rng: Randomness) -> Batch:
        """Return the batch with each sample in a look of its own."""
        return Batch.cat([self(batch.select([n]), rng.at(n)) for n in range(batch.size)])

    def _seen(self, photos: Tensor, drawn: Tensor) -> Tensor:
        from torchvision.transforms.v2 import functional as colours  # which takes seconds, and few recipes ask for it

        factor = {name: float(1 + amount * drawn[n]) for n, (name, amount) in enumerate(self.amounts.items())}
        photos = (photos + 1) / 2
        tint = 1 + self.amounts["tint"] * drawn[4:7].to(photos.device)
        photos = (photos * tint[:, None, None]).clamp(0, 1)
        photos = colours.adjust_brightness(photos, factor["brightness"])
        photos = colours.adjust_contrast(photos, factor["contrast"])
        photos = colours.adjust_saturation(photos, factor["saturation"])
        if self.amounts["hue"]:
            photos = colours.adjust_hue(photos, factor["hue"] - 1)
        return photos * 2 - 1
