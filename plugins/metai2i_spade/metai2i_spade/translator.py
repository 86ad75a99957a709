"""`Spade`: label maps to photographs (Park et al., "Semantic Image Synthesis with Spatially-Adaptive Normalization",
2019; NVlabs/SPADE is the official repository)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from metai2i import (
    Batch,
    Count,
    Move,
    Objective,
    Positive,
    Randomness,
    Step,
    TaskSpec,
    Translator,
    UserError,
    Weight,
)
from metai2i_spade.discriminator import MultiscaleDiscriminator
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
from metai2i_spade.losses import divergence, feature_matching
from metai2i_spade.norm import Guide, PlainNorm
from metai2i_spade.sizes import doublings_of

log = logging.getLogger(__name__)
OWN_RATE = 4.0
"""The discriminator's learning rate beside the generator's 1e-4 (two time scales, Heusel et al., 2017)."""


class Spade(Translator):
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
        start: Literal["map", "noise", "encoder"] = "map",
        latent: Count = 256,
        matching: Weight = 10.0,
        kl: Weight = 0.05,
        d_width: Count | None = None,
        d_layers: Count = 4,
        d_scales: Count = 2,
        d_fake: Literal["fresh", "same"] = "fresh",
        d_rate: Positive = OWN_RATE,
    ) -> None:
        super().__init__()
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
        self.start, self.latent, self.fresh = start, latent, d_fake == "fresh"
        self.matching, self.kl = matching, kl
        self.objective, self.judged_by = split(objective)

        layers = spade_layers(channels, hidden or 2 * width, norm)
        first: nn.Module
        if labels == "input":
            layers = Layers(lambda features: PlainNorm(features, norm))
            first = FromPyramid(channels, pyramid(widths, doublings), norm)
        elif start == "map":
            first = FromMap(channels, widths[0], grid)
        else:
            first = FromCode(latent, widths[0], grid)
        self.generator = Generator(first, layers, width, doublings)
        self.encoder = Encoder(spec.size, width, latent) if start == "encoder" else None
        self.discriminator: MultiscaleDiscriminator | None = None
        if self.judged_by is not None:
            self.discriminator = MultiscaleDiscriminator(channels + 3, d_width or width, d_layers, d_scales)
            self.rates = {"discriminator": d_rate}  # type: ignore[misc]  # a class attribute of others

    @property
    def replayable(self) -> bool:
        """Say whether steps draw nothing, as those that begin with the map do."""
        return self.start == "map"

    def players(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return those of the generator, and of encoder and discriminator, if there are such."""
        networks = {"generator": self.generator, "encoder": self.encoder, "discriminator": self.discriminator}
        return {name: network.parameters() for name, network in networks.items() if network is not None}

    def training_step(self, batch: Batch, step: Step) -> Iterator[Move]:
        """Yield the move of the generator and the encoder, if there is one, and then that of the discriminator."""
        guide, target = self.guide(batch), batch["target"]
        fake, terms = self._draw(guide, target, step.rng.at("code"))
        if self.objective is not None:
            terms |= self.objective.generator(fake, target)
        if self.discriminator is not None and self.judged_by is not None:
            of_fakes, of_real = self._judge(guide, fake, target)
            judged = [self.judged_by.generator(fake, target, scale[-1])["adversarial"] for scale in of_fakes]
            terms["adversarial"] = torch.stack(judged).mean()
            if self.matching:
                terms["matching"] = self.matching * feature_matching(of_fakes, of_real)
        yield "generator" if self.encoder is None else ("generator", "encoder"), terms
        if self.discriminator is not None and self.judged_by is not None:
            if self.fresh:
                with torch.no_grad():
                    fake, _ = self._draw(guide, target, step.rng.at("code", "fresh"))
            of_fakes, of_real = self._judge(guide, fake.detach(), target)
            both = [self.judged_by.discriminator(b[-1], a[-1]) for a, b in zip(of_fakes, of_real, strict=True)]
            yield "discriminator", {name: torch.stack([terms[name] for terms in both]).mean() for name in both[0]}

    def translate(self, batch: Batch) -> Tensor:
        """Return the images for `batch["structure"]`; with a code they vary from call to call."""
        code = None if self.start == "map" else torch.randn(batch.size, self.latent).to(batch["structure"])
        images: Tensor = self.generator(self.guide(batch), code)
        return images

    def guide(self, batch: Batch) -> Guide:
        """Return what the generator's layers and the discriminator are shown of a batch."""
        return Guide(batch["structure"])

    def _draw(self, guide: Guide, target: Tensor, rng: Randomness) -> tuple[Tensor, dict[str, Tensor]]:
        """Return images (B, 3, H, W), and the encoder's own loss, if there is one."""
        if self.start == "map":
            return self.generator(guide), {}
        noise = torch.randn(len(target), self.latent, generator=rng.generator()).to(target)
        if self.encoder is None:
            return self.generator(guide, noise), {}
        mean, log_variance = self.encoder(target)
        images = self.generator(guide, mean + noise * (0.5 * log_variance).exp())
        return images, {"divergence": self.kl * divergence(mean, log_variance)}

    def _judge(self, guide: Guide, fake: Tensor, real: Tensor) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
        """Return the discriminator's features and logits of images and of photographs, in one pass."""
        assert self.discriminator is not None
        shown = torch.cat([torch.cat([guide.structure, images], 1) for images in (fake, real)])
        halves = [[output.chunk(2) for output in scale] for scale in self.discriminator(shown)]
        of_fakes, photographs = ([[output[side] for output in scale] for scale in halves] for side in (0, 1))
        return of_fakes, photographs


class SpadeInstances(Spade):
    """SPADE that is also shown where one instance ends and another begins, as one further channel of the map.

    Its options are those of `spade`. The published settings for ADE20K, COCO-Stuff and Cityscapes have that channel
    wherever there are instances.
    """

    needs = Spade.needs | {"instances"}

    def guide(self, batch: Batch) -> Guide:
        """Return the label map, and the edges of `batch["instances"]` behind it."""
        return Guide(torch.cat([batch["structure"], edges(batch["instances"]).to(batch["structure"])], 1))


def split(objective: Objective) -> tuple[Objective | None, Objective | None]:
    """Return an objective's terms that compare images, and its adversarial term alone; None for what it lacks.

    A discriminator of several scales is asked at each of them, whereas images are compared once.
    """
    weights, gan, net = objective.weights, objective.gan, objective.net
    l1, perceptual, adversarial = weights["l1"], weights["perceptual"], weights["adversarial"]
    compared = Objective(l1=l1, adversarial=0.0, perceptual=perceptual, net=net) if l1 or perceptual else None
    judged = Objective(l1=0.0, adversarial=adversarial, perceptual=0.0, gan=gan) if adversarial else None
    return compared, judged
