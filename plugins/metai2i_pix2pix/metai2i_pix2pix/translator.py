"""`Pix2pix`: conditional GAN on pairs (Isola et al., "Image-to-Image Translation with Conditional Adversarial
Networks", 2017), for structures of any number of channels."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from metai2i import Batch, Count, Move, Objective, Positive, Step, TaskSpec, Translator, UserError, check_range
from metai2i.losses import Augmentation, DiffAugment, Norm, PatchGAN, check_patches
from metai2i_pix2pix.official import official_discriminator, official_generator
from metai2i_pix2pix.unet import UNet

log = logging.getLogger(__name__)
REAL, FAKE = 0, 1
"""Photographs and fakes among the changes of a step."""


class Pix2pix(Translator):
    """A U-Net draws the photograph from the structure; a PatchGAN, shown both, tells it from the real one.

    Args:
        spec: the data's, from the host.
        objective: the recipe's, from the host; without an adversarial term there is no discriminator.
        width: channels of the generator's first layer (the paper has 64); memory and time grow with its square.
        downs: how many times the U-Net halves the resolution. By default as often as the size can be halved, 7 at
            the most (128x128 to a single position).
        norm: instance (each image by itself), or batch. With batch, images depend on what else is in their batch.
        dropout: when the U-Net's inner layers have dropout: never; inner (while a copy is adapted to a scene); train
            (in every training step); always (in its images as well, as published).
        d_width: channels of the discriminator's first layer; as `width` by default.
        d_layers: stride-2 layers of the discriminator; 1, 2, 3, 4 judge patches of 16, 34, 70, 142 pixels.
        d_condition: what the discriminator sees besides the image: structure, or none.
        d_scale: a factor on the discriminator's loss, which slows it down under SGD (Pix2pix has 0.5).
        diff_augment: what the discriminator sees changed, of photographs and fakes alike, so that it does not learn a
            few photographs by heart: `colour`, `translation`, `cutout` (Zhao et al., 2020). Structures change their
            place with their photographs.

    Raises:
        UserError: when the size does not fit `downs` or `d_layers`, when an option is out of its range, or when dropout
            is asked of a U-Net of less than 6 halvings, which has no layers for it.
    """

    def __init__(
        self,
        *,
        spec: TaskSpec,
        objective: Objective,
        width: Count = 64,
        downs: Count | None = None,
        norm: Norm = "instance",
        dropout: Literal["never", "inner", "train", "always"] = "never",
        d_width: Count | None = None,
        d_layers: Count = 3,
        d_condition: Literal["structure", "none"] = "structure",
        d_scale: Positive = 0.5,
        diff_augment: frozenset[Augmentation] = frozenset(),
    ) -> None:
        super().__init__()
        d_width = width if d_width is None else d_width
        for name, number in {"width": width, "downs": downs, "d_width": d_width, "d_layers": d_layers}.items():
            check_range(f"translator.{name}", number, Count | None)
        check_range("translator.d_scale", d_scale, Positive)
        if norm == "batch":
            log.warning("pix2pix: with batch norm, images depend on which others are in their batch")
        self.objective = objective
        self.dropout = dropout
        self.d_scale = d_scale
        self.diff_augment = DiffAugment(diff_augment)
        self.apart = norm == "batch"  # which would mix images that are judged together
        self.generator = UNet(spec.structure_channels, width, _downs(spec.size, downs), norm)
        if dropout != "never" and not self.generator.dropping:
            levels = len(self.generator.up)
            what = f"translator.dropout: {dropout}, but a U-Net that halves its input {levels} times drops nothing"
            raise UserError(what, hint="dropout begins with 6 halvings, of images of 64x64 and more")
        self.condition = d_condition == "structure"
        self.discriminator: PatchGAN | None = None
        if objective.uses_discriminator:
            check_patches("pix2pix", spec.size, d_layers)
            self.discriminator = PatchGAN(3 + self.condition * spec.structure_channels, d_width, d_layers, norm)

    @property
    def samples(self) -> bool:
        """Return whether images are drawn: with dropout in them."""
        return self.dropout == "always"

    @property
    def replayable(self) -> bool:
        """Return whether steps draw nothing themselves (without dropout) and look at no number."""
        return self.dropout == "never"

    def players(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return the discriminator, if there is one, and the generator."""
        networks = {"discriminator": self.discriminator, "generator": self.generator}
        return {name: network.parameters() for name, network in networks.items() if network is not None}

    @classmethod
    def adopted(cls, part: str, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the tensors of the official `latest_net_G.pth` and `latest_net_D.pth` under the names of here."""
        renamed = {"generator": official_generator, "discriminator": official_discriminator}.get(part)
        return tensors if renamed is None else renamed(tensors)

    def draws(self, batch: Batch, step: Step) -> Mapping[str, Tensor]:
        """Return how photographs and fakes are changed where they are judged, (B, 2, 7); nothing where they are not."""
        if not self.diff_augment.changes or self.discriminator is None:
            return {}
        return {"changes": self.diff_augment.draws((batch.size, 2), step.rng.at("changes").generator())}

    def training_step(self, batch: Batch, step: Step) -> Iterator[Move]:
        """Yield the discriminator moves, then the generator, on the same images."""
        if self.dropout in ("train", "always") or (self.dropout == "inner" and step.inner):
            with step.rng.at("dropout").scope():
                fake = self.generator(batch["structure"], dropout=True)
        else:
            fake = self.generator(batch["structure"])
        logits = None
        if self.discriminator is not None:
            seen = self._seen(batch, batch["target"], REAL), self._seen(batch, fake.detach(), FAKE)
            terms = self.objective.discriminator(*self._judge(*seen))
            yield "discriminator", {name: self.d_scale * term for name, term in terms.items()}
            (logits,) = self._judge(self._seen(batch, fake, FAKE))
        yield "generator", self.objective.generator(fake, batch["target"], logits)

    def translate(self, batch: Batch) -> Tensor:
        """Return the images for `batch["structure"]`; they vary from call to call only with `dropout="always"`."""
        images: Tensor = self.generator(batch["structure"], dropout=self.dropout == "always")
        return images

    def _judge(self, *seen: Tensor) -> Sequence[Tensor]:
        """Return the discriminator's logits on each of several batches, in one pass where that is the same."""
        assert self.discriminator is not None
        if self.apart:
            return [self.discriminator(each) for each in seen]
        logits: Tensor = self.discriminator(torch.cat(seen))
        return logits.chunk(len(seen))

    def _seen(self, batch: Batch, images: Tensor, which: int) -> Tensor:
        """Return what the discriminator sees of images, `REAL` or `FAKE`."""
        structure = [batch["structure"]] if self.condition else []
        if self.diff_augment.changes:
            numbers = batch["changes"][:, which]
            images = self.diff_augment(images, numbers)
            structure = [self.diff_augment(each, numbers, colour=False) for each in structure]
        return torch.cat([*structure, images], 1)


def _halvings(number: int) -> int:
    """Return how many times a number can be halved."""
    return (number & -number).bit_length() - 1


def _downs(size: tuple[int, int], wanted: int | None) -> int:
    """Return the depth of the U-Net: as wanted, or else as deep as the size allows up to 7, but at least 3."""
    downs = min(7, *map(_halvings, size)) if wanted is None else wanted
    if wanted is None and downs < 3:
        raise UserError(
            f"pix2pix: size {size[0]}x{size[1]} can be halved only {downs} times, which is too shallow for a U-Net",
            hint=f"{_near(size, 3)}; or set downs",
        )
    if any(_halvings(side) < downs for side in size):
        raise UserError(
            f"pix2pix: size {size[0]}x{size[1]} is not divisible by {2**downs}, as downs: {downs} needs",
            hint=f"{_near(size, downs)}; or leave downs out",
        )
    return downs


def _near(size: tuple[int, int], downs: int) -> str:
    """Return the nearest sizes that can be halved often enough, in words."""
    unit = 2**downs
    below = [side // unit * unit for side in size]
    above = [-(-side // unit) * unit for side in size]
    sizes = [f"{height}x{width}" for height, width in (below, above) if min(height, width) > 0]
    return f"the nearest sizes are {' and '.join(sizes)}"
