"""`GPUnit`: images into another domain, by a content code that a frozen encoder sees and the style of a photograph.

Yang et al., "Unsupervised Image-to-Image Translation with Generative Prior", 2022; williamyang1991/GP-UNIT is the
official repository. This is its second stage.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from metai2i import (
    Batch,
    Count,
    Losses,
    Move,
    Objective,
    Share,
    Side,
    Step,
    TaskSpec,
    Translator,
    Weight,
    Whole,
)
from metai2i.losses import Augmentation, DiffAugment
from metai2i_gpunit.adoption import adopted
from metai2i_gpunit.content import Content, ContentEncoder, shown_code
from metai2i_gpunit.discriminator import Discriminator
from metai2i_gpunit.generator import Generator
from metai2i_gpunit.losses import features_of, identity_distance, perceptual, r1
from metai2i_gpunit.sampler import LATENT, StyleSampler, with_rare
from metai2i_gpunit.sizes import Widths
from metai2i_gpunit.style import ExemplarEncoder

log = logging.getLogger(__name__)


@cache
def _warn_of_unseen(number: int) -> None:
    """Tell, once, of latents that are asked for a domain without styles of its own."""
    log.warning(
        "gpunit: training has seen no photograph of the domain %d, so its latents give the mean styles of the others; "
        "the way 'exemplar' shows it a photograph",
        number,
    )


def as_exemplars(batch: Batch) -> Batch:
    """Return samples as what they are as exemplars: with those of the data where it has its own, or, where the host
    chooses the exemplar of a sample among other samples, with the photograph and domain of the sample itself.
    """
    if "reference" in batch:
        return batch
    photographs = batch["target"] if "target" in batch else batch["source"]
    domains = batch["domain"] if "domain" in batch else torch.zeros(batch.size, dtype=torch.long)
    return batch.replace(reference=photographs, reference_domain=domains.to(photographs.device))


class GPUnit(Translator):
    """A generator draws content codes in the style of an exemplar, and carries over details by dynamic skips.

    Each step has two moves: the generator's with the style encoder, and then the discriminator's, which is shown an
    image that is made anew. The content encoder belongs to nobody and stays as it begins: give it one that has been
    distilled, by `start: {encoder: {row: PRIOR}}` or `{encoder: {file: content_encoder.pt}}`. After each phase a
    sampler is fitted to the styles of all photographs of each domain, for images without an exemplar (`evaluate.way:
    latent`).

    The published settings are `objective: {l1: 1, adversarial: 1, perceptual: 0, gan: bce}`, where the objective
    compares an exemplar with what is made of its own content and style, and `pretrain: {lr: 1e-4, betas: [0, 0.99],
    weight_decay: 1e-4, batch: 16, iterations: 75000, average: {decay: 0.999, players: [generator, style]}}`, for data
    of one domain that is translated into.

    How intensely content is kept is a proposal after the abstract of the journal version, whose formulas are not
    known: with `graded`, each sample of training draws a level l, masks are multiplied by it and shown it, and the
    content's weight is multiplied by 0.5 + l / 2 and that of the masks by 1 - l.

    Args:
        spec: the data's, from the host.
        objective: the recipe's, from the host; without an adversarial term there is no discriminator, and no style is
            compared.
        width: features at full size; 64 as published. The encoder's and the prior's are the same.
        encoder_side: pixels a side of the images that the encoder sees; those of the data when null. The published
            encoder sees 256.
        skips: at how many sizes there is a dynamic skip: 2 as published, at 16 and 32 pixels. Smaller images than 64
            pixels have the first alone, unless the encoder sees larger ones.
        vgg: the frozen network whose features are compared in reconstructions: vgg19 (as published) or vgg16; null for
            none.
        content: weight of the distance between the codes of input and output.
        style: weight of the distance between the styles that the discriminator sees in output and exemplar.
        style_layer: behind which layer of the discriminator; 5 was published for faces.
        sparsity: weight of the masks' means.
        reconstruction_skips: whether reconstructions have dynamic skips, too.
        identity: a frozen network of faces, by its name, for the distance between who is seen in output and exemplar.
        identity_weight: of that distance.
        flip_style: whether styles are seen in a mirror half of the time, so that they do not carry a pose.
        penalty: of the gradient penalty R1.
        diff_augment: what the discriminator sees changed, of photographs and fakes alike, so that it does not learn a
            few hundred photographs by heart: `colour`, `translation`, `cutout` (Zhao et al., 2020).
        graded: whether training draws how intensely content is kept.
        intensity: how intensely it is kept in images, from 0 (the coarse layout alone) to 1. Without `graded` it only
            multiplies the masks.
        sampler_epochs: how often the sampler goes through all styles; as published when null.
        sampler_rare: whether it sees rare styles more often.

    Raises:
        UserError: when the size is no power of 2.
    """

    needs = frozenset({"source", "reference", "reference_domain"})
    ways: ClassVar[Mapping[str, frozenset[str]]] = {
        "exemplar": frozenset({"source", "reference"}),
        "latent": frozenset({"source", "reference_domain"}),
    }
    samples = frozenset({"latent"})
    paint_options = frozenset({"intensity"})
    sampled: Tensor

    def __init__(
        self,
        *,
        spec: TaskSpec,
        objective: Objective,
        width: Count = 64,
        encoder_side: Side | None = None,
        skips: Literal[0, 1, 2] = 2,
        vgg: Literal["vgg19", "vgg16"] | None = None,
        content: Weight = 1.0,
        style: Weight = 50.0,
        style_layer: Count = 4,
        sparsity: Weight = 1.0,
        reconstruction_skips: bool = False,
        identity: str | None = None,
        identity_weight: Weight = 1.0,
        flip_style: bool = True,
        penalty: Weight = 1.0,
        diff_augment: frozenset[Augmentation] = frozenset(),
        graded: bool = False,
        intensity: Share = 1.0,
        sampler_epochs: Whole | None = None,
        sampler_rare: bool = False,
    ) -> None:
        super().__init__()
        widths = Widths.of(spec.size, width, "gpunit")
        seen = widths if encoder_side is None else Widths.of((encoder_side, encoder_side), width, "gpunit's encoder")
        self.objective, self.size = objective, spec.size
        self.weights = {"content": content, "style": style, "sparsity": sparsity, "identity": identity_weight}
        self.vgg, self.faces = features_of(vgg), features_of(identity)
        self.reconstruction_skips, self.flip_style, self.penalty = reconstruction_skips, flip_style, penalty
        self.diff_augment = DiffAugment(diff_augment)
        self.graded, self.intensity = graded, intensity
        self.sampler_epochs, self.sampler_rare = sampler_epochs, sampler_rare
        self.encoder = ContentEncoder(seen).requires_grad_(False)
        self.style = ExemplarEncoder(widths)
        self.generator = Generator(widths, self.style.length, skips=skips, seen=seen.side, graded=graded)
        self.discriminator: Discriminator | None = None
        if objective.uses_discriminator:
            self.discriminator = Discriminator(widths, style_layer)
        domains = max(1, spec.domains)
        self.samplers = nn.ModuleList(StyleSampler(self.style.length) for _ in range(domains)).requires_grad_(False)
        self.register_buffer("sampled", torch.zeros(domains, dtype=torch.bool))
        self.train()

    def train(self, mode: bool = True) -> GPUnit:
        """Set the mode of what is trained; the encoder's vectors of spectral norm and the samplers' means rest."""
        super().train(mode)
        self.encoder.eval()
        self.samplers.eval()
        return self

    def players(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return those of generator, style encoder and discriminator, if there is one."""
        networks = {"generator": self.generator, "style": self.style, "discriminator": self.discriminator}
        return {name: network.parameters() for name, network in networks.items() if network is not None}

    @property
    def replayable(self) -> bool:
        """Say that steps draw nothing themselves and look at no number."""
        return True

    def draws(self, batch: Batch, step: Step) -> Mapping[str, Tensor]:
        """Return whose style is seen in a mirror, (B,), how intensely content is kept, (B,), and how photographs and
        fakes are changed where they are judged, (B, 2, 7).

        The published code mirrors all exemplars of a step or none.
        """
        flips = torch.rand(batch.size, generator=step.rng.at("flips").generator()) < 0.5
        levels = torch.rand(batch.size, generator=step.rng.at("intensity").generator())
        return {
            "flips": flips & self.flip_style,
            "intensity": levels if self.graded else torch.ones(batch.size),
            "changes": self.diff_augment.draws((batch.size, 2), step.rng.at("changes").generator()),
        }

    def training_step(self, batch: Batch, step: Step) -> Iterator[Move]:
        """Yield the move of generator and style encoder, and then that of the discriminator."""
        photographs, level = batch["reference"], batch["intensity"]
        mirrored = torch.where(batch["flips"][:, None, None, None], photographs.flip(-1), photographs)
        with torch.no_grad():
            content, theirs = self.encoder(batch["source"]), self.encoder(photographs)
        yield ("generator", "style"), self._translating(batch, content, theirs, mirrored)
        if self.discriminator is not None:
            with torch.no_grad():
                fake, _ = self.generator(content, self.style(mirrored), level)
            yield "discriminator", self._judging(self.discriminator, photographs, fake, batch["changes"])

    def translate(self, batch: Batch, way: str = "exemplar") -> Tensor:
        """Return `batch["source"]` in the style of `batch["reference"]`, or in one that the sampler gives of a latent:
        for a domain that training has not seen, in the mean of what the samplers of all others give.
        """
        return self._drawn(batch, way)[0]

    def shown(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return the content code (`code`), and where dynamic skips let details through (`skip16`, `skip32`): the
        lighter, the more of them, as means over channels.
        """
        _, masks = self._drawn(batch, "exemplar" if "reference" in batch else "latent")
        means = {f"skip{side}": 2 * mask.mean(1, keepdim=True) - 1 for side, mask in masks.items()}
        seen = {name: interpolate(mean, self.size, mode="nearest") for name, mean in means.items()}
        code = shown_code(self.encoder(batch["source"]).code, self.size)
        return {"code": code, **{name: mean.expand(-1, 3, -1, -1) for name, mean in seen.items()}}

    def end(self, phase: str, data: Callable[[], Iterator[Batch]]) -> None:
        """Fit a sampler to the styles of the photographs of each domain that is translated into."""
        with torch.no_grad():
            seen = [(self.style(batch["reference"]), self._domains(batch)) for batch in map(as_exemplars, data())]
        if not seen:
            return
        styles, domains = (torch.cat(each) for each in zip(*seen, strict=True))
        for number, sampler in enumerate(self.samplers):
            theirs = styles[domains == number]
            self.sampled[number] = len(theirs) > 0
            if len(theirs):
                assert isinstance(sampler, StyleSampler)
                sampler.fit(with_rare(theirs) if self.sampler_rare else theirs, self.sampler_epochs)

    @classmethod
    def adopted(cls, part: str, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the tensors of a published network under our names."""
        return adopted(part, tensors)

    def _drawn(self, batch: Batch, way: str) -> tuple[Tensor, dict[int, Tensor]]:
        """Return the images and the masks of the dynamic skips."""
        style = self.style(batch["reference"]) if way == "exemplar" else self._sampled_styles(batch)
        level = batch["source"].new_full((batch.size,), self.intensity)
        images: Tensor
        masks: dict[int, Tensor]
        images, masks = self.generator(self.encoder(batch["source"]), style, level)
        return images, masks

    def _sampled_styles(self, batch: Batch) -> Tensor:
        """Return a style for each sample that is drawn for its domain; for one that training has not seen, the mean of
        those for all that it has.
        """
        domains = self._domains(batch)
        fitted = torch.where(self.sampled.any(), self.sampled, torch.ones_like(self.sampled))  # before any training
        latents = torch.randn(batch.size, LATENT).to(batch["source"])
        every = torch.stack([sampler(latents) for sampler in self.samplers])  # (K, B, S)
        every = torch.cat([every, every[fitted].mean(0, keepdim=True)])
        known = torch.cat([fitted, fitted.new_zeros(1)])
        place = domains.clamp(max=len(fitted))
        place = torch.where(known[place], place, len(fitted))
        if not torch.compiler.is_compiling():  # a program that is exported tells nothing
            for number in torch.unique(domains[place == len(fitted)]).tolist():
                _warn_of_unseen(number)
        return every[place, torch.arange(batch.size, device=place.device)]

    def _domains(self, batch: Batch) -> Tensor:
        """Return the numbers of the domains that are translated into, (B,); 0 for data without domains."""
        return batch["reference_domain"] if len(self.samplers) > 1 else torch.zeros_like(batch["reference_domain"])

    def _judging(self, discriminator: Discriminator, photographs: Tensor, fake: Tensor, changes: Tensor) -> Losses:
        """Return what the discriminator minimises.

        Args:
            discriminator: what judges.
            photographs: (B, 3, H, W).
            fake: (B, 3, H, W).
            changes: (B, 2, 7), how the two are changed.
        """
        real = self.diff_augment(photographs, changes[:, 0]).detach().requires_grad_(self.penalty > 0)
        logits, _ = discriminator(real)
        terms = self.objective.discriminator(logits, discriminator(self.diff_augment(fake, changes[:, 1]))[0])
        if self.penalty:
            terms["r1"] = self.penalty * r1(logits, real)
        return terms

    def _translating(self, batch: Batch, content: Content, theirs: Content, mirrored: Tensor) -> Losses:
        """Return what generator and style encoder minimise.

        Args:
            batch: the samples.
            content: of the inputs.
            theirs: of the exemplars.
            mirrored: (B, 3, H, W), the exemplars whose styles are seen, some of them in a mirror.
        """
        photographs, level = batch["reference"], batch["intensity"]
        style = self.style(mirrored)
        fake, masks = self.generator(content, style, level)
        again, _ = self.generator(theirs, style, level, skip=self.reconstruction_skips)
        logits, terms = None, {}
        if self.discriminator is not None:
            changes = batch["changes"][:, 1]  # the same of both, whose styles are compared
            logits, theirs_seen = self.discriminator(self.diff_augment(fake, changes))
            with torch.no_grad():
                _, wanted = self.discriminator(self.diff_augment(photographs, changes))
            terms["style"] = self.weights["style"] * (theirs_seen - wanted).abs().mean()
        terms |= self.objective.generator(again, photographs, logits)
        if self.vgg is not None:
            terms["features"] = perceptual(self.vgg, again, photographs)
        code = self.encoder(fake).code
        apart = (code - content.code).abs().flatten(1).mean(1)  # (B,)
        kept, spared = (0.5 + level / 2, 1 - level) if self.graded else (1.0, 1.0)
        terms["content"] = self.weights["content"] * (kept * apart).mean()
        if masks:
            means = torch.stack([mask.flatten(1).mean(1) for mask in masks.values()]).sum(0)  # (B,)
            terms["sparsity"] = self.weights["sparsity"] * (spared * means).mean()
        if self.faces is not None:
            terms["identity"] = self.weights["identity"] * identity_distance(self.faces, fake, photographs)
        return {**terms, **self._further(batch, content, code)}

    def _further(self, batch: Batch, content: Content, code: Tensor) -> Losses:
        """Return what else is minimised by generator and style encoder; nothing here.

        Args:
            batch: the samples.
            content: of the inputs.
            code: (B, 1, 8, 8), of the outputs.
        """
        return {}
