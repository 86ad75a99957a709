"""`StarGan2`: images into any of several domains, in any of many looks, without pairs.

Choi et al., "StarGAN v2: Diverse Image Synthesis for Multiple Domains", 2020; clovaai/stargan-v2 is the official
repository.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from metai2i import (
    Batch,
    Count,
    FrozenNetwork,
    Losses,
    Move,
    Objective,
    Share,
    Step,
    TaskSpec,
    Translator,
    UserError,
    Weight,
    Whole,
    refuse_new_domains,
)
from metai2i.losses import Augmentation, DiffAugment, network
from metai2i_stargan2.adoption import adopted
from metai2i_stargan2.critic import Discriminator, StyleEncoder
from metai2i_stargan2.generator import Generator
from metai2i_stargan2.losses import r1
from metai2i_stargan2.mapping import MappingNetwork
from metai2i_stargan2.masks import Masks, fan_masks, part_masks
from metai2i_stargan2.sizes import Widths
from metai2i_stargan2.styles import mean_styles, side_by_side

Way = Literal["latent", "exemplar"]
MAPPING_RATE = 0.01
"""The mapping network's learning rate beside the 1e-4 of the others."""


class StarGan2(Translator):
    """A style brings an image into a domain; it comes from a latent, or from a photograph of that domain.

    Each step has four moves: the discriminator's, against images by latents and against images by photographs; then
    that of generator, mapping network and style encoder by latents, and the generator's alone by photographs.

    The published settings are `objective: {l1: 1, adversarial: 1, perceptual: 0, gan: bce}`, where the objective
    compares an image that was translated there and back with what it was, and `pretrain: {lr: 1e-4, betas: [0, 0.99],
    weight_decay: 1e-4, batch: 8, iterations: 100000, average: {decay: 0.999, players: [generator, mapping, style]}}`.

    For faces they have a high-pass skip (`high_pass: 1`): the generator adds the details of the source to its features
    where the landmarks of a face are, as the network `fan` sees them; that takes its file.

    A domain that training has not seen has layers of its own, which begin as the mean of all others'.

    Args:
        spec: the data's, from the host.
        objective: the recipe's, from the host; without an adversarial term there is no discriminator.
        width: features at full size; 16,384 divided by an image's side by default, as published.
        widest: the most features at any size.
        style: length of a style.
        latent: length of a latent.
        hidden: features of the mapping network.
        style_weight: of the distance between a style and that which the style encoder sees in the image.
        diversity: of the distance between images of two styles, which is to be large; it falls to 0 in the course of
            training (the paper has 1 for faces and 2 for animals), and is 0 while a copy is adapted.
        penalty: of the gradient penalty R1.
        diff_augment: what the discriminator sees changed, of photographs and fakes alike, so that it does not learn a
            few hundred photographs by heart: `colour`, `translation`, `cutout` (Zhao et al., 2020).
        encoder_moves: whether the style encoder moves with the generator by photographs, too; not as published.
        spare: whether there are layers for a domain that training has not seen.
        high_pass: how faint the details are that the generator adds; 0 for none.
        truncation: how far styles by latents go from the mean of their domain; below 1 images are more alike, and
            fewer of them fail.
        strip: of how many images a strip is, in a report, that goes from each output's style to the next one's; below
            2 there are none.

    Raises:
        UserError: when the data has no domains, or the size is no power of 2; later for a domain that does not train
            where there are no spare layers.
    """

    needs = frozenset({"source", "domain", "reference", "reference2", "reference_domain"})
    ways: ClassVar[Mapping[str, frozenset[str]]] = {
        "exemplar": frozenset({"source", "reference", "reference_domain"}),
        "latent": frozenset({"source", "reference_domain"}),
    }
    samples = frozenset({"latent"})
    rates: ClassVar[Mapping[str, float]] = {"mapping": MAPPING_RATE}
    paint_options = frozenset({"truncation", "strip"})

    def __init__(
        self,
        *,
        spec: TaskSpec,
        objective: Objective,
        width: Count | None = None,
        widest: Count = 512,
        style: Count = 64,
        latent: Count = 16,
        hidden: Count = 512,
        style_weight: Weight = 1.0,
        diversity: Weight = 1.0,
        penalty: Weight = 1.0,
        diff_augment: frozenset[Augmentation] = frozenset(),
        encoder_moves: bool = False,
        spare: bool = True,
        high_pass: Weight = 0.0,
        truncation: Share = 1.0,
        strip: Whole = 0,
    ) -> None:
        super().__init__()
        if not spec.domains:
            raise UserError("stargan2 needs data of several domains", hint="the task source 'domains' gives them")
        widths = Widths.of(spec.size, width, widest)
        self.objective, self.latent = objective, latent
        self.style_weight, self.diversity, self.penalty = style_weight, diversity, penalty
        self.diff_augment = DiffAugment(diff_augment)
        self.encoder_moves, self.domains, self.spare = encoder_moves, spec.domains, spare
        self.truncation, self.strip = truncation, strip
        self.generator = Generator(widths, style, high_pass)
        self.fan: FrozenNetwork | None = self.landmarks_of_faces() if high_pass else None
        self.mapping = MappingNetwork(latent, style, hidden, spec.domains, spare=spare)
        self.style = StyleEncoder(widths, style, spec.domains, spare=spare)
        self.discriminator: Discriminator | None = None
        if objective.uses_discriminator:
            self.discriminator = Discriminator(widths, spec.domains, spare=spare)

    def players(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return those of the four networks."""
        networks = {
            "discriminator": self.discriminator,
            "generator": self.generator,
            "mapping": self.mapping,
            "style": self.style,
        }
        return {name: network.parameters() for name, network in networks.items() if network is not None}

    @property
    def replayable(self) -> bool:
        """Say that steps draw nothing themselves and look at no number."""
        return True

    def draws(self, batch: Batch, step: Step) -> Mapping[str, Tensor]:
        """Return two latents for each sample (B, 2, L), the weight of diversity at this step (B,), and how sources and
        fakes are changed where they are judged, by latents and by photographs (B, 2, 2, 7).
        """
        self._check(batch["domain"])
        self._check(batch["reference_domain"])
        latents = torch.randn(batch.size, 2, self.latent, generator=step.rng.at("latents").generator())
        weight = self.diversity * (1 - step.index / step.total) if step.role == "train" else 0.0
        changes = self.diff_augment.draws((batch.size, 2, 2), step.rng.at("changes").generator())
        return {"latents": latents, "diversity": torch.full((batch.size,), weight), "changes": changes}

    def training_step(self, batch: Batch, step: Step) -> Iterator[Move]:
        """Yield the moves of the discriminator, then those of the others, each by latents and by photographs."""
        source, into = batch["source"], batch["reference_domain"]
        latents = batch["latents"].unbind(1)
        photographs = batch["reference"], batch["reference2"]
        styles: dict[Way, Callable[[int], Tensor]] = {
            "latent": lambda which: self.mapping(latents[which], into),
            "exemplar": lambda which: self.style(photographs[which], into),
        }
        changes = dict(zip(styles, batch["changes"].unbind(1), strict=True))
        if self.discriminator is not None:
            for way, style in styles.items():
                with torch.no_grad():
                    fake = self.generator(source, style(0), self.masks(source, batch))
                yield "discriminator", self._judging(self.discriminator, batch, fake, changes[way])
        diversity = batch["diversity"].mean() if self.diversity else None
        yield (
            ("generator", "mapping", "style"),
            self._translating(batch, styles["latent"], diversity, changes["latent"]),
        )
        movers = ("generator", "style") if self.encoder_moves else "generator"
        yield movers, self._translating(batch, styles["exemplar"], diversity, changes["exemplar"])

    def translate(self, batch: Batch, way: str = "exemplar") -> Tensor:
        """Return `batch["source"]` in the domain asked for: in the look of `batch["reference"]`, or by a latent in any.

        Nothing keeps what the generator gives within [-1, 1]; what is beyond is cut off, as where images are saved.
        """
        return self._painted(batch, self._styles(batch, way == "latent"))

    def shown(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return a strip for each input: from the style of its output to that of the next one's, in equal steps."""
        if self.strip < 2:
            return {}
        first = self._styles(batch, "reference" not in batch)
        shares = torch.linspace(0, 1, self.strip).tolist()
        styles = [torch.lerp(first, first.roll(-1, 0), share) for share in shares]
        return {"strip": side_by_side([self._painted(batch, style) for style in styles])}

    def adopted(self, part: str, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the tensors of a network of the official checkpoints under our names."""
        return adopted(part, tensors, spare=self.spare, high_pass=self.generator.high_pass is not None)

    def landmarks_of_faces(self) -> FrozenNetwork | None:
        """Return the network that sees where the landmarks of a face are."""
        return network("fan")

    def masks(self, images: Tensor, batch: Batch) -> Masks | None:
        """Return where details of some images are kept; None without a high-pass skip.

        Args:
            images: (B, 3, H, W) in [-1, 1], the sources or what became of them.
            batch: the samples.
        """
        if self.fan is None:
            return None
        with torch.no_grad():
            return fan_masks(self.fan(images))

    def _check(self, domain: Tensor) -> None:
        """Refuse a domain that there is nothing for."""
        if not self.spare:
            refuse_new_domains(domain, self.domains, "stargan2")

    def _styles(self, batch: Batch, by_latents: bool) -> Tensor:
        """Return the style (B, S) of each output, by a latent or of its exemplar."""
        into = batch["reference_domain"]
        self._check(into)
        if not by_latents:
            exemplified: Tensor = self.style(batch["reference"], into)
            return exemplified
        styles: Tensor = self.mapping(torch.randn(batch.size, self.latent).to(batch["source"]), into)
        if self.truncation == 1:
            return styles
        return torch.lerp(mean_styles(self.mapping, self.latent, into), styles, self.truncation)

    def _painted(self, batch: Batch, styles: Tensor) -> Tensor:
        source = batch["source"]
        images: Tensor = self.generator(source, styles, self.masks(source, batch))
        return images.clamp(-1, 1)

    def _judging(self, discriminator: Discriminator, batch: Batch, fake: Tensor, changes: Tensor) -> Losses:
        """Return what the discriminator minimises: sources are real, each as one of its own domain.

        Args:
            discriminator: what judges.
            batch: the samples.
            fake: (B, 3, H, W), what was made of them.
            changes: (B, 2, 7), how sources and fakes are changed.
        """
        source = self.diff_augment(batch["source"], changes[:, 0]).detach().requires_grad_(self.penalty > 0)
        real = discriminator(source, batch["domain"])
        judged = discriminator(self.diff_augment(fake, changes[:, 1]), batch["reference_domain"])
        terms = self.objective.discriminator(real, judged)
        if self.penalty:
            terms["r1"] = self.penalty * r1(real, source)
        return terms

    def _translating(
        self, batch: Batch, style_of: Callable[[int], Tensor], diversity: Tensor | None, changes: Tensor
    ) -> Losses:
        """Return what the generator and whoever moves with it minimise.

        Args:
            batch: the samples.
            style_of: gives the first or the second style (B, S) of each sample.
            diversity: weight of the distance between images of the two; None for none.
            changes: (B, 2, 7), how sources and fakes are changed where they are judged.
        """
        source, into = batch["source"], batch["reference_domain"]
        style, masks = style_of(0), self.masks(source, batch)
        fake = self.generator(source, style, masks)
        back = self.generator(fake, self.style(source, batch["domain"]), self.masks(fake.detach(), batch))
        logits = None
        if self.discriminator is not None:
            logits = self.discriminator(self.diff_augment(fake, changes[:, 1]), into)
        terms = self.objective.generator(back, source, logits)
        if self.style_weight:
            terms["style"] = self.style_weight * (self.style(fake, into) - style).abs().mean()
        if diversity is not None:
            with torch.no_grad():
                other = self.generator(source, style_of(1), masks)
            terms["diversity"] = -diversity * (fake - other).abs().mean()
        return terms


class StarGan2Landmarks(StarGan2):
    """StarGAN v2 whose high-pass skip is masked by landmarks that the data has; its options are those of `stargan2`.

    An image that was translated there is masked on its way back as its source was.
    """

    needs = StarGan2.needs | {"landmarks"}
    ways: ClassVar[Mapping[str, frozenset[str]]] = {
        way: fields | {"landmarks"} for way, fields in StarGan2.ways.items()
    }

    def landmarks_of_faces(self) -> FrozenNetwork | None:
        """Return none: the data has them."""
        return None

    def masks(self, images: Tensor, batch: Batch) -> Masks | None:
        """Return the masks of `batch["landmarks"]`; None without a high-pass skip."""
        return part_masks(batch["landmarks"]) if self.generator.high_pass is not None else None
