"""`Spade`: label maps to photographs (Park et al., "Semantic Image Synthesis with Spatially-Adaptive Normalization",
2019; NVlabs/SPADE is the official repository)."""

from __future__ import annotations

import logging
from typing import Literal

import torch
from torch import nn

from metai2i import Batch, Count, Objective, Positive, TaskSpec, UserError, Weight
from metai2i_spade.edges import edges
from metai2i_spade.encoder import Encoder
from metai2i_spade.generator import (
    FromCode,
    FromMap,
    FromPyramid,
    Generator,
    Layers,
    pyramid,
    spade_layers,
    widths_of,
)
from metai2i_spade.judged import Fakes, JudgedGenerator, Start
from metai2i_spade.norm import Guide, PlainNorm
from metai2i_spade.sizes import doublings_of

log = logging.getLogger(__name__)
OWN_RATE = 4.0
"""The discriminator's learning rate beside the generator's 1e-4 (two time scales, Heusel et al., 2017)."""


class Spade(JudgedGenerator):
    """The label map modulates every normalisation of the generator; a discriminator of two scales judges its images.

    The generator minimises the recipe's objective, and its images' distance from the photographs in the
    discriminator's features. The published settings are `objective: {l1: 0, adversarial: 1, perceptual: 10, gan:
    hinge}` with `pretrain: {lr: 1e-4, betas: [0, 0.9]}`; where the paper compares VGG-19 features by their absolute
    differences, the objective has LPIPS, which stands on VGG-16 features (`net: vgg16`) and is left out with
    `perceptual: 0`.

    Args:
        spec: the data's, from the host.
        objective: the recipe's, from the host; without an adversarial term there is no discriminator.
        width: features of the generator's last block and of the encoder's first layer (the paper has 64); memory and
            time grow with its square.
        ups: how many times the generator doubles the resolution; by default as often as it can begin with 4 pixels a
            side, 5 times at the most. The paper has 5 at 256x256 ("normal") and 6 at 256x512 ("more").
        hidden: features between the label map and what it does to a normalisation; twice the width by default (128 in
            the paper).
        norm: instance (each image by itself), or batch (as published; images then depend on what else is in their
            batch).
        labels: where the label map goes in: norm (at every normalisation), or input, for comparison: convolutions of
            stride 2 bring it to where the generator begins, and nothing else sees it.
        start: what the generator begins with: map, the label map made small; noise, a random code; encoder, a code of
            the photograph by a variational encoder, and a random one where the photograph is to be made.
        latent: length of that code.
        matching: weight of the distance in the discriminator's features.
        kl: weight of the divergence of the encoder's codes from the normal distribution.
        d_width: features of the discriminator's first layer; as `width` by default.
        d_layers: convolutions of each scale of the discriminator before its last.
        d_scales: how many scales it has.
        d_fake: which images the discriminator is shown in its own move: fresh, those of the generator that has just
            moved, as published; same, those that it has judged already, which saves a forward pass.
        d_rate: the discriminator's learning rate, as a multiple of the recipe's.

    Raises:
        UserError: when the size does not fit `ups`, or when options exclude each other.
    """

    def __init__(
        self,
        *,
        spec: TaskSpec,
        objective: Objective,
        width: Count = 64,
        ups: Count | None = None,
        hidden: Count | None = None,
        norm: Literal["instance", "batch"] = "instance",
        labels: Literal["norm", "input"] = "norm",
        start: Start = "map",
        latent: Count = 256,
        matching: Weight = 10.0,
        kl: Weight = 0.05,
        d_width: Count | None = None,
        d_layers: Count = 4,
        d_scales: Count = 2,
        d_fake: Fakes = "fresh",
        d_rate: Positive = OWN_RATE,
    ) -> None:
        if labels == "input" and start != "map":
            raise UserError(f"spade: labels: input begins with the map, not with start: {start}", hint="leave one out")
        if labels == "input" and hidden is not None:
            raise UserError("spade: labels: input has no hidden", hint="leave it out, or change labels")
        if norm == "batch":
            log.warning("spade: with batch norm, images depend on which others are in their batch")
        doublings = doublings_of(spec.size, ups)
        grid = (spec.size[0] >> doublings, spec.size[1] >> doublings)
        channels = spec.structure_channels + ("instances" in self.needs)
        widths = widths_of(width, doublings)
        layers = spade_layers(channels, hidden or 2 * width, norm)
        first: nn.Module
        if labels == "input":
            layers = Layers(lambda features: PlainNorm(features, norm))
            first = FromPyramid(channels, pyramid(widths, doublings), norm)
        elif start == "map":
            first = FromMap(channels, widths[0], grid)
        else:
            first = FromCode(latent, widths[0], grid)
        super().__init__(
            Generator(first, layers, width, doublings),
            objective,
            channels,
            encoder=Encoder(spec.size, width, latent) if start == "encoder" else None,
            start=start,
            latent=latent,
            matching=matching,
            kl=kl,
            d_width=d_width or width,
            d_layers=d_layers,
            d_scales=d_scales,
            d_fake=d_fake,
            d_rate=d_rate,
        )


class SpadeInstances(Spade):
    """SPADE that is also shown where one instance ends and another begins, as one further channel of the map.

    Its options are those of `spade`. The published settings for ADE20K, COCO-Stuff and Cityscapes have that channel
    wherever there are instances.
    """

    needs = Spade.needs | {"instances"}

    def guide(self, batch: Batch) -> Guide:
        """Return the label map, and the edges of `batch["instances"]` behind it."""
        return Guide(torch.cat([batch["structure"], edges(batch["instances"]).to(batch["structure"])], 1))
