"""`GPUnitPrior`: an encoder that sees the same content in images of different classes.

Yang et al., "Unsupervised Image-to-Image Translation with Generative Prior", 2022; williamyang1991/GP-UNIT is the
official repository. This is its first stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate, l1_loss, mse_loss

from metai2i import Batch, Count, Move, Objective, Step, TaskSpec, Translator, UserError, Weight
from metai2i_gpunit.adoption import adopted
from metai2i_gpunit.content import ContentEncoder, shown_code
from metai2i_gpunit.decoder import EMBEDDING, ClassAdversary, Decoder, Statistics, StyleStatistics
from metai2i_gpunit.losses import code_norm, features_of, mean_distance, perceptual, weighted_mean
from metai2i_gpunit.sizes import CODE, SHAPE, Widths


class GPUnitPrior(Translator):
    """An autoencoder of one channel of 8x8 numbers, trained on twins: images of different classes with one layout.

    A code is decoded to the shape of its object and, with the style of an image, to that image; codes of twins are
    brought together, each is to give the other's shape, and an adversary sees to it that they do not tell the class.
    Images are reconstructed, so metrics compare outputs with the inputs. A translator begins with what is learned by
    `start: {encoder: {row: ...}}`.

    The published settings are `pretrain: {lr: 2e-4, betas: [0.9, 0.999], batch: 16, iterations: 45000}`, and 16
    photographs without twins in each step: such a one is its own twin, and then counts for its reconstruction alone.
    The objective's L1 and LPIPS are minimised on reconstructions besides; it is of use where there is no VGG-19.

    Args:
        spec: the data's, from the host.
        objective: the recipe's, from the host; there is no discriminator.
        width: features at full size; 64 as published.
        vgg: the frozen network whose features are compared: vgg19 (as published) or vgg16; null for none.
        appearance: weight of the squared distance of reconstructions, and of that in VGG's features.
        shape: weight of the distance of decoded shapes from the masks.
        content: weight of the distance between the codes of twins, of which the second is held.
        swapped: weight of the distance of shapes, decoded of the twin's code, from the masks.
        code: weight of the norm of all codes, as if there were 48 of them as in the published batch.
        adversary: weight of the adversary's cross-entropy; 0 for no adversary.
        noise: standard deviation of what is added to codes before they are decoded.

    Raises:
        UserError: when the data has fewer than two classes, or the size is no power of 2.
    """

    needs = frozenset({"source", "domain", "mask", "twin", "twin_domain", "twin_mask"})

    def __init__(
        self,
        *,
        spec: TaskSpec,
        objective: Objective,
        width: Count = 64,
        vgg: Literal["vgg19", "vgg16"] | None = None,
        appearance: Weight = 1.0,
        shape: Weight = 5.0,
        content: Weight = 1.0,
        swapped: Weight = 5.0,
        code: Weight = 0.001,
        adversary: Weight = 1.0,
        noise: Weight = 0.2,
    ) -> None:
        super().__init__()
        if spec.domains < 2:
            raise UserError(
                f"gpunit-prior needs twins of two classes or more, the task source has {spec.domains}",
                hint="the task sources 'emoji_twins' and 'twins' give them",
            )
        widths = Widths.of(spec.size, width, "gpunit-prior")
        self.objective, self.noise, self.size = objective, noise, spec.size
        self.vgg = features_of(vgg)
        self.weights = {
            "appearance": appearance, "shape": shape, "content": content, "swapped": swapped, "code": code,
            "class": adversary,
        }  # fmt: skip
        self.encoder = ContentEncoder(widths)
        self.style = StyleStatistics(widths)
        self.embedding = nn.Embedding(spec.domains, EMBEDDING)
        self.decoder = Decoder(widths)
        self.adversary = ClassAdversary(spec.domains) if adversary else None

    def players(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return one player: the adversary moves with the others, by a gradient of the other sign."""
        return {"autoencoder": self.parameters()}

    @property
    def replayable(self) -> bool:
        """Say that steps draw nothing themselves and look at no number."""
        return True

    def draws(self, batch: Batch, step: Step) -> Mapping[str, Tensor]:
        """Return noise for the codes of both twins, (B, 2, 8, 8), and whose style is seen in a mirror, (B, 2).

        The published code mirrors all images of a step or none.
        """
        noise = torch.randn(batch.size, 2, CODE, CODE, generator=step.rng.at("noise").generator())
        flips = torch.rand(batch.size, 2, generator=step.rng.at("flips").generator()) < 0.5
        return {"noise": self.noise * noise, "flips": flips}

    def training_step(self, batch: Batch, step: Step) -> Iterator[Move]:
        """Yield the one move."""
        images = torch.cat([batch["source"], batch["twin"]])  # (2B, 3, H, W)
        classes = torch.cat([batch["domain"], batch["twin_domain"]])
        masks = small_masks(torch.cat([batch["mask"], batch["twin_mask"]]))
        paired = (batch["source"] != batch["twin"]).flatten(1).any(1).to(images)  # (B,)
        counted = torch.cat([torch.ones_like(paired), paired])  # a photograph without a twin is there twice
        codes = self.encoder(images).code
        noisy = codes + batch["noise"].transpose(0, 1).reshape(codes.shape)
        flips = batch["flips"].transpose(0, 1).reshape(-1, 1, 1, 1)
        style = self.style(torch.where(flips, images.flip(-1), images))
        embedded = self.embedded(classes)
        outputs, shapes = self.decoder(noisy, embedded, style)
        other = self.decoder.shapes(noisy.roll(batch.size, 0), embedded)
        first, second = codes.split(batch.size)
        terms = {
            "appearance": mean_distance(mse_loss, outputs, images, counted),
            "shape": mean_distance(l1_loss, shapes, masks, counted),
            "content": mean_distance(l1_loss, first, second.detach(), paired),
            "swapped": mean_distance(l1_loss, other, masks, paired.repeat(2)),
            "code": code_norm(codes),
        }
        if self.vgg is not None:
            terms["features"] = perceptual(self.vgg, outputs, images, counted)
        if self.adversary is not None:
            terms["class"] = self._class_loss(codes, classes, counted)
        weighted = {name: self.weights.get(name, self.weights["appearance"]) * term for name, term in terms.items()}
        yield "autoencoder", {**weighted, **self._objective_terms(outputs, images)}

    def embedded(self, classes: Tensor) -> Tensor:
        """Return what stands for classes (N,), (N, 128); for those that training does not know the mean of all."""
        known = self.embedding.weight
        return torch.cat([known, known.mean(0, keepdim=True)])[classes.clamp(max=len(known))]

    def translate(self, batch: Batch) -> Tensor:
        """Return `batch["source"]` as it is decoded of its code, its class and its style."""
        code = self.encoder(batch["source"]).code
        images: Tensor = self.decoder(code, self.embedded(batch["domain"]), self.style(batch["source"]))[0]
        return images

    def shown(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return what the code is (`code`), the shape that it gives (`shape`), and what the twin's style and class make
        of it (`swapped`)."""
        code = self.encoder(batch["source"]).code
        _, shape = self.decoder(code, self.embedded(batch["domain"]), self.style(batch["source"]))
        style: Statistics = self.style(batch["twin"])
        swapped, _ = self.decoder(code, self.embedded(batch["twin_domain"]), style)
        return {
            "code": shown_code(code, self.size),
            "shape": interpolate(shape, self.size, mode="nearest"),
            "swapped": swapped,
        }

    @classmethod
    def adopted(cls, part: str, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the tensors of the published content encoder under our names."""
        return adopted(part, tensors)

    def _class_loss(self, codes: Tensor, classes: Tensor, counted: Tensor) -> Tensor:
        """Return how badly the adversary tells classes apart; those that training does not know do not count."""
        assert self.adversary is not None
        known = len(self.embedding.weight)
        losses = cross_entropy(self.adversary(codes), classes.clamp(max=known - 1), reduction="none")
        return weighted_mean(losses, (classes < known).to(losses) * counted)

    def _objective_terms(self, outputs: Tensor, images: Tensor) -> Mapping[str, Tensor]:
        wanted = any(self.objective.weights[name] for name in ("l1", "perceptual"))
        return self.objective.generator(outputs, images) if wanted else {}


def small_masks(masks: Tensor) -> Tensor:
    """Return masks (N, 1, H, W) in [0, 1] as shapes are: (N, 3, 16, 16) in [-1, 1], with three equal channels."""
    small = interpolate(masks, (SHAPE, SHAPE), mode="bilinear", align_corners=False)
    return (2 * small - 1).expand(-1, 3, -1, -1)
