"""`EdgeGan`: photographs of objects from drawings by hand, of which training has none.

Gao et al., "SketchyCOCO: Image Generation from Freehand Scene Sketches", 2020; sysu-imsl/EdgeGAN is the official
repository. What it has released are checkpoints of TensorFlow 1, which are not read here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from metai2i import (
    Batch,
    Count,
    Losses,
    Move,
    Objective,
    Step,
    TaskSpec,
    Translator,
    UserError,
    Weight,
    refuse_new_domains,
)
from metai2i.losses import Augmentation, DiffAugment
from metai2i_edgegan.classifier import Classifier
from metai2i_edgegan.critic import Critic
from metai2i_edgegan.encoder import Encoder
from metai2i_edgegan.generator import FirstNorm, Generator
from metai2i_edgegan.layers import Init, Upsampling
from metai2i_edgegan.losses import focal, gradient_penalty

MULTIPLE = 32
"""Sides of images are multiples of this, so that each network can halve them as often as it does."""
ENLARGED = 2
"""How much larger the critics of edges and of photographs see them."""
SMALLEST_CODE = 0.01
"""A number of a code is taken to be as large as this at least, or nothing would become something."""
FOLLOWED = 0.01
"""The share of a batch in the mean square of codes."""
GENERATORS = ("edges", "photographs", "classes")
"""The players that move together."""


class EdgeGan(Translator):
    """Edges and photographs of objects are made of one vector by two generators, so that they show the same object; an
    encoder learns which vector edges are made of. A drawing, which is edges to it, so gets a photograph, and no loss
    ever holds that photograph against another one to the pixel: drawings need not lie where the photograph's edges do.

    A step has seven moves: the critics of edges beside photographs, of photographs and of edges (Wasserstein distance
    with gradient penalty, whatever `objective.gan` says), the classifier, both generators, the encoder, and both
    generators again. All of them have the same latents, with the classes of the batch.

    The published settings are `objective: {l1: 0, adversarial: 1, perceptual: 0}`, `pretrain: {optimizer: rmsprop-tf,
    lr: 2e-4, eps: 1e-10, batch: 64}`, images of 64x64 and 100 passes over the data. With `objective.l1` or
    `objective.perceptual`, which the paper does not have, what generators make of the code of edges is compared with
    these edges and with their photograph.

    The player `classes` holds what belongs to single classes in both generators: with the others in `adapt.freeze`, a
    new class of objects is all that is learned. A class that training has not seen begins as the mean of all others.

    Args:
        spec: the data's, from the host.
        objective: the recipe's, from the host; without an adversarial term there are no critics.
        width: features of the networks at their largest size.
        latent: length of a latent.
        penalty: of the gradient penalty.
        class_weight: of the cross-entropy of made photographs.
        code_weight: of the distance between a latent and what the encoder sees of it.
        latent_regression: of the same distance in what the generators minimise, so that edges tell of what latent they
            are; BicycleGAN's (Zhu et al., 2017). In the paper it teaches the encoder alone.
        critic_steps: moves of each critic in a step, all but the first with other latents; Wasserstein critics
            usually have 5.
        first_norm: how the generators' first features are normalised: `instance` as all others, or `batch` as in the
            released code, which then normalises by each batch in training and by means over training elsewhere.
        upsampling: how the generators double height and width: by `transposed` convolutions as published, or `resize`,
            which repeats each place and has no chequered pattern to unlearn.
        encoder_init: how the encoder's weights are drawn before training: `normal` as published, with a standard
            deviation of 0.02, or `kaiming`, with which it learns within hundreds of steps.
        spread_codes: whether codes of drawings are as large as latents are: each number is divided by its root mean
            square over the drawings that train. That follows their batches, and is taken over all of them when training
            ends. What an encoder is not sure of it says small, and of small codes images are more alike than
            photographs are.
        diff_augment: what critics and classifier see changed, of photographs and fakes alike, so that they do not learn
            a few hundred photographs by heart: `colour`, `translation`, `cutout` (Zhao et al., 2020). Edges change
            their place with their photographs, and not their colour.
        spare: whether there are parameters for a class that training has not seen.

    Raises:
        UserError: when the data has no classes, its drawings have neither one channel nor three, its sizes are no
            multiples of 32, or nothing is left for the generator of edges to minimise; later for a class that does not
            train where there is no spare row.
    """

    needs = frozenset({"structure", "target", "domain"})
    ways: ClassVar[Mapping[str, frozenset[str]]] = {
        "sketch": frozenset({"structure", "domain"}),
        "sampled": frozenset({"structure", "domain"}),
        "class": frozenset({"domain"}),
    }
    samples = frozenset({"sampled", "class"})

    def __init__(
        self,
        *,
        spec: TaskSpec,
        objective: Objective,
        width: Count = 64,
        latent: Count = 100,
        penalty: Weight = 10.0,
        class_weight: Weight = 0.5,
        code_weight: Weight = 10.0,
        latent_regression: Weight = 0.0,
        critic_steps: Count = 1,
        first_norm: FirstNorm = "instance",
        upsampling: Upsampling = "transposed",
        encoder_init: Init = "normal",
        spread_codes: bool = False,
        diff_augment: frozenset[Augmentation] = frozenset(),
        spare: bool = True,
    ) -> None:
        super().__init__()
        check_data(spec, objective)
        self.objective, self.latent, self.critic_steps = objective, latent, critic_steps
        self.penalty, self.class_weight, self.code_weight = penalty, class_weight, code_weight
        self.latent_regression, self.diff_augment = latent_regression, DiffAugment(diff_augment)
        (height, across), classes = spec.size, spec.domains if spec.domains > 1 else 0
        self.classes, self.spare = classes, spare
        self.edges, self.photographs = (
            Generator(spec.size, latent, width, classes, spare=spare, first_norm=first_norm, upsampling=upsampling)
            for _ in range(2)
        )
        self.encoder = Encoder(latent, width, encoder_init)
        self.code_size: Tensor | None
        self.register_buffer("code_size", torch.ones(latent) if spread_codes else None)
        self.classifier = Classifier(width, classes, spare=spare) if classes else None
        self.critics = nn.ModuleDict()
        if objective.uses_discriminator:
            larger = ENLARGED * height, ENLARGED * across
            sizes = {"joint": (height, 2 * across), "image": larger, "edge": larger}
            self.critics.update({name: Critic(size, width) for name, size in sizes.items()})

    def players(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return the critics, the classifier, both generators, what they have for each class, and the encoder."""
        players: dict[str, Iterable[nn.Parameter]] = {
            f"{name}_critic": critic.parameters() for name, critic in self.critics.items()
        }
        if self.classifier is not None:
            players["classifier"] = self.classifier.parameters()
        players["edges"] = self.edges.shared_parameters()
        players["photographs"] = self.photographs.shared_parameters()
        if self.edges.classes is not None:
            players["classes"] = chain(self.edges.class_parameters(), self.photographs.class_parameters())
        players["encoder"] = self.encoder.parameters()
        return players

    @property
    def replayable(self) -> bool:
        """Say that steps draw nothing themselves and look at no number."""
        return True

    def draws(self, batch: Batch, step: Step) -> Mapping[str, Tensor]:
        """Return latents (B, S, L) for S moves of the critics, of which the first are those of all other moves, the
        shares of real images between real and made ones for the three critics (B, S, 3), the encoder's noise (B, L),
        and how real and made images are changed (B, S, 2, 7).
        """
        self._check(batch["domain"])
        rng, moves = step.rng.at("edgegan").generator(), self.critic_steps
        return {
            "latents": torch.randn(batch.size, moves, self.latent, generator=rng),
            "shares": torch.rand(batch.size, moves, 3, generator=rng),
            "noise": torch.randn(batch.size, self.latent, generator=rng),
            "changes": self.diff_augment.draws((batch.size, moves, 2), rng),
        }

    def training_step(self, batch: Batch, step: Step) -> Iterator[Move]:
        """Yield the moves of the critics, the classifier, the generators, the encoder, and the generators again."""
        domain, latents, shares, changes = batch["domain"], batch["latents"], batch["shares"], batch["changes"]
        for turn in range(self.critic_steps if self.critics else 0):
            real = views(*self._changed(as_images(batch["structure"]), batch["target"], changes[:, turn, 0]))
            with torch.no_grad():
                fake = views(*self._changed(*self._both(latents[:, turn], domain), changes[:, turn, 1]))
            for n, (name, critic) in enumerate(self.critics.items()):
                suffix = f"_{turn + 1}" if turn else ""
                yield f"{name}_critic", self._judging(critic, real[name], fake[name], shares[:, turn, n], suffix)
        if self.classifier is not None:
            photographs = self.diff_augment(batch["target"], changes[:, 0, 0])
            yield "classifier", {"focal": focal(*self.classifier(photographs, domain))}
        movers = GENERATORS if self.edges.classes is not None else GENERATORS[:2]
        yield movers, self._generating(batch)
        with torch.no_grad():
            edges = self.edges(latents[:, 0], domain)
        distance = (self.encoder(edges, batch["noise"]) - latents[:, 0]).abs().mean()
        yield "encoder", {"code": self.code_weight * distance}
        yield movers, {f"{name}_again": term for name, term in self._generating(batch).items()}
        if self.code_size is not None and step.role == "train":
            self._follow_codes(as_images(batch["structure"]))

    def translate(self, batch: Batch, way: str = "sketch") -> Tensor:
        """Return photographs of what `batch["structure"]` draws, as objects of the class `batch["domain"]`: the most
        likely ones, or `sampled`; or any objects of that `class`.
        """
        domain = batch["domain"]
        self._check(domain)
        noise = None if way == "sketch" else torch.randn(batch.size, self.latent).to(self.photographs.linear.weight)
        latents = noise if way == "class" else self._code(as_images(batch["structure"]), noise)
        photographs: Tensor = self.photographs(latents, domain)
        return photographs

    def shown(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return the edges that go with the photograph: what the encoder has understood of a drawing."""
        if "structure" not in batch:
            return {}
        return {"edges": self.edges(self._code(as_images(batch["structure"])), batch["domain"])}

    def end(self, phase: str, data: Callable[[], Iterator[Batch]]) -> None:
        """Gather how large the codes of drawings are, where they are to be spread."""
        if self.code_size is not None:
            with torch.no_grad():
                codes = torch.cat([self.encoder(as_images(batch["structure"])) for batch in data()])
            self.code_size.copy_(codes.square().mean(0).sqrt())

    @torch.no_grad()
    def _follow_codes(self, drawings: Tensor) -> None:
        """Let the size of codes follow that of a batch of drawings (B, 3, H, W)."""
        assert self.code_size is not None
        seen = self.encoder(drawings).square().mean(0)
        self.code_size.copy_(self.code_size.square().lerp(seen, FOLLOWED).sqrt())

    def _code(self, edges: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return the codes (B, L) of edges (B, 3, H, W)."""
        code: Tensor = self.encoder(edges, noise)
        return code if self.code_size is None else code / self.code_size.clamp_min(SMALLEST_CODE)

    def _check(self, domain: Tensor) -> None:
        """Refuse a class that there is nothing for."""
        if self.classes and not self.spare:
            refuse_new_domains(domain, self.classes, "edgegan")

    def _both(self, latents: Tensor, domain: Tensor) -> tuple[Tensor, Tensor]:
        """Return edges and photographs of latents (B, L) and classes (B,), each (B, 3, H, W) in [-1, 1]."""
        return self.edges(latents, domain), self.photographs(latents, domain)

    def _changed(self, edges: Tensor, photographs: Tensor, changes: Tensor) -> tuple[Tensor, Tensor]:
        """Return edges and photographs (B, 3, H, W) as critics and classifier see them, changed as (B, 7) say."""
        return self.diff_augment(edges, changes, colour=False), self.diff_augment(photographs, changes)

    def _judging(self, critic: nn.Module, real: Tensor, fake: Tensor, share: Tensor, suffix: str) -> Losses:
        """Return what a critic minimises: how much more real it finds what is made than what is real."""
        terms = {f"distance{suffix}": critic(fake).mean() - critic(real).mean()}
        if self.penalty:
            terms[f"penalty{suffix}"] = self.penalty * gradient_penalty(critic, real, fake, share)
        return terms

    def _generating(self, batch: Batch) -> dict[str, Tensor]:
        """Return what both generators minimise."""
        domain, weights = batch["domain"], self.objective.weights
        latents, changes = batch["latents"][:, 0], batch["changes"][:, 0, 1]
        edges, photographs = self._both(latents, domain)
        judged = self._changed(edges, photographs, changes)
        terms: dict[str, Tensor] = {}
        if self.critics:
            for name, view in views(*judged).items():
                terms[name] = -weights["adversarial"] * self.critics[name](view).mean()
        if self.classifier is not None and self.class_weight:
            terms["class"] = self.class_weight * cross_entropy(*self.classifier(judged[1], domain))
        if self.latent_regression:
            terms["latent"] = self.latent_regression * (self.encoder(edges) - latents).abs().mean()
        if weights["l1"] or weights["perceptual"]:
            drawn = as_images(batch["structure"])
            with torch.no_grad():
                code = self._code(drawn)
            again, photographs = self._both(code, domain)
            terms |= self.objective.generator(photographs, batch["target"])
            if weights["l1"]:
                terms["l1_edges"] = weights["l1"] * (again - drawn).abs().mean()
        return terms


def check_data(spec: TaskSpec, objective: Objective) -> None:
    """Refuse data that EdgeGAN cannot be trained on.

    Raises:
        UserError: saying what it needs.
    """
    if not spec.domains:
        raise UserError(
            "edgegan needs drawings of objects with their classes", hint="the task source 'sketches' has them"
        )
    if spec.structure_channels not in (1, 3):
        what = f"edgegan needs drawings of one channel, or of three, got {spec.structure_channels}"
        raise UserError(what, hint="the task source 'sketches' has them")
    height, width = spec.size
    if height % MULTIPLE or width % MULTIPLE:
        what = f"edgegan needs images whose sides are multiples of {MULTIPLE}, got {height}x{width}"
        raise UserError(what, hint="set tasks.size to [32, 32], [64, 64] or [128, 128]")
    if not objective.uses_discriminator and not objective.weights["l1"]:
        what = "edgegan without an adversarial term has nothing for its generator of edges to minimise"
        raise UserError(what, hint="set objective.adversarial or objective.l1")


def as_images(drawings: Tensor) -> Tensor:
    """Return drawings (B, 1 or 3, H, W) in [0, 1] as images (B, 3, H, W) in [-1, 1]."""
    return (2 * drawings - 1).expand(-1, 3, -1, -1)


def views(edges: Tensor, photographs: Tensor) -> dict[str, Tensor]:
    """Return what each critic looks at: edges at the left of photographs, photographs enlarged, and edges enlarged."""
    larger = {"image": photographs, "edge": edges}
    enlarged = {
        name: interpolate(images, scale_factor=ENLARGED, mode="bicubic", align_corners=False)
        for name, images in larger.items()
    }
    return {"joint": torch.cat([edges, photographs], 3), **enlarged}
