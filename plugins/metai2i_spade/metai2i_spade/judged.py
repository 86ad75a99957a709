"""`JudgedGenerator`: how SPADE and what is built on it are trained, whatever the generator is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from metai2i import Batch, Move, Objective, Randomness, Step, Translator
from metai2i_spade.discriminator import MultiscaleDiscriminator
from metai2i_spade.encoder import Encoder
from metai2i_spade.generator import Generator
from metai2i_spade.losses import divergence, feature_matching
from metai2i_spade.norm import Guide

Fakes = Literal["fresh", "same"]
Start = Literal["map", "noise", "encoder"]


class JudgedGenerator(Translator):
    """A generator whose images a discriminator of several scales judges, with a variational encoder where it begins
    with a code of the photograph.

    Args:
        generator: makes images, of `guide(batch)` and perhaps a code.
        objective: the recipe's; without an adversarial term there is no discriminator.
        shown: channels of the guide's map, which the discriminator is shown beside images.
        encoder: gives codes of photographs; None without.
        start: what the generator begins with.
        latent: length of a code.
        matching: weight of the distance in the discriminator's features.
        kl: weight of the divergence of the encoder's codes from the normal distribution.
        d_width: features of the discriminator's first layer.
        d_layers: convolutions of each of its scales before the last.
        d_scales: how many scales it has.
        d_fake: which images it is shown in its own move: those of the generator that has just moved, or the same.
        d_rate: its learning rate, as a multiple of the recipe's.
    """

    def __init__(
        self,
        generator: Generator,
        objective: Objective,
        shown: int,
        *,
        encoder: Encoder | None = None,
        start: Start = "map",
        latent: int = 256,
        matching: float,
        kl: float = 0.0,
        d_width: int,
        d_layers: int,
        d_scales: int,
        d_fake: Fakes,
        d_rate: float,
    ) -> None:
        super().__init__()
        self.start, self.latent, self.fresh = start, latent, d_fake == "fresh"
        self.matching, self.kl = matching, kl
        self.objective, self.judged_by = split(objective)
        self.generator, self.encoder = generator, encoder
        self.discriminator: MultiscaleDiscriminator | None = None
        if self.judged_by is not None:
            self.discriminator = MultiscaleDiscriminator(shown + 3, d_width, d_layers, d_scales)
            self.rates = {"discriminator": d_rate}  # type: ignore[misc]  # a class attribute of others

    @property
    def replayable(self) -> bool:
        """Say whether steps draw nothing, as those that begin with the map do."""
        return self.start == "map"

    @property
    def samples(self) -> bool:
        """Say whether outputs for one input differ, as those that begin with a code do."""
        return self.start != "map"

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
        terms |= self.adversarial_terms(guide, fake, target)
        yield "generator" if self.encoder is None else ("generator", "encoder"), terms
        if self.discriminator is not None:
            if self.fresh:
                with torch.no_grad():
                    fake, _ = self._draw(guide, target, step.rng.at("code", "fresh"))
            yield "discriminator", self.judging_terms(guide, fake, target)

    def translate(self, batch: Batch) -> Tensor:
        """Return the images for `batch["structure"]`; with a code they vary from call to call."""
        code = None if self.start == "map" else torch.randn(batch.size, self.latent).to(batch["structure"])
        images: Tensor = self.generator(self.guide(batch), code)
        return images

    def guide(self, batch: Batch) -> Guide:
        """Return what the generator's layers and the discriminator are shown of a batch."""
        return Guide(batch["structure"])

    def adversarial_terms(self, guide: Guide, fake: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return what the generator minimises besides the distances of images; nothing without a discriminator.

        Args:
            guide: what the discriminator is shown beside images.
            fake: (B, 3, H, W), images.
            target: (B, 3, H, W), photographs.
        """
        if self.discriminator is None or self.judged_by is None:
            return {}
        of_fakes, of_real = self._judge(guide, fake, target)
        judged = [self.judged_by.generator(fake, target, scale[-1])["adversarial"] for scale in of_fakes]
        terms = {"adversarial": torch.stack(judged).mean()}
        if self.matching:
            terms["matching"] = self.matching * feature_matching(of_fakes, of_real)
        return terms

    def judging_terms(self, guide: Guide, fake: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return what the discriminator minimises; no gradient goes back to images. Arguments as in
        `adversarial_terms`.
        """
        assert self.judged_by is not None
        of_fakes, of_real = self._judge(guide, fake.detach(), target)
        both = [self.judged_by.discriminator(b[-1], a[-1]) for a, b in zip(of_fakes, of_real, strict=True)]
        return {name: torch.stack([terms[name] for terms in both]).mean() for name in both[0]}

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


def split(objective: Objective) -> tuple[Objective | None, Objective | None]:
    """Return an objective's terms that compare images, and its adversarial term alone; None for what it lacks.

    A discriminator of several scales is asked at each of them, whereas images are compared once.
    """
    weights, gan, net = objective.weights, objective.gan, objective.net
    l1, perceptual, adversarial = weights["l1"], weights["perceptual"], weights["adversarial"]
    compared = Objective(l1=l1, adversarial=0.0, perceptual=perceptual, net=net) if l1 or perceptual else None
    judged = Objective(l1=0.0, adversarial=adversarial, perceptual=0.0, gan=gan) if adversarial else None
    return compared, judged
