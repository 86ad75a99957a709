"""`Objective`: what generator and discriminator minimise, after Eq. 4-7 of the BiL paper."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor
from torch.nn.functional import relu, softplus

from metai2i.bounds import Weight, check_range
from metai2i.errors import UserError
from metai2i.losses.backbone_weights import Backbone
from metai2i.losses.lpips import lpips_distance
from metai2i.precision import at_least_single

GanMode = Literal["bce", "minimax", "lsgan", "hinge"]


def gan_generator_loss(logits: Tensor, mode: GanMode) -> Tensor:
    """Return what a generator minimises, given the discriminator's logits b on its images; a mean over all positions.

    bce: softplus(-b), non-saturating (Goodfellow et al., 2014); minimax: -softplus(b), the other side of the
    discriminator's loss, which saturates where the discriminator is sure; lsgan: (b - 1)^2 (Mao et al., 2017);
    hinge: -b (Lim and Ye, 2017).
    """
    match mode:
        case "bce":
            return softplus(-logits).mean()
        case "minimax":
            return -softplus(logits).mean()
        case "lsgan":
            return (logits - 1).square().mean()
        case "hinge":
            return -logits.mean()


def gan_discriminator_loss(real: Tensor, fake: Tensor, mode: GanMode) -> tuple[Tensor, Tensor]:
    """Return what a discriminator minimises: the terms for its logits on photographs (a) and on images (b), to be
    summed.

    bce and minimax: softplus(-a) and softplus(b); lsgan: (a - 1)^2 and b^2; hinge: relu(1 - a) and relu(1 + b).
    """
    match mode:
        case "bce" | "minimax":
            return softplus(-real).mean(), softplus(fake).mean()
        case "lsgan":
            return (real - 1).square().mean(), fake.square().mean()
        case "hinge":
            return relu(1 - real).mean(), relu(1 + fake).mean()


class Objective:
    """L1 + adversarial + perceptual, weighted: Eq. 7 of the BiL paper.

    The paper is Ma et al., "A Novel BiLevel Paradigm for Image-to-Image Translation", 2019. L1 is the mean absolute
    difference of images in [-1, 1] (Eq. 4), the adversarial term comes from the translator's discriminator (Eq. 5),
    the perceptual one is LPIPS (Eq. 6). The paper prints "lambda_a = 10 and lambda_a = 2", the second of which is
    read as lambda_b here: hence 1, 10 and 2. That is far from the 100 to 1 between L1 and the adversarial term of
    Pix2pix, so compare {l1: 10, adversarial: 1, perceptual: 2} and {l1: 100, adversarial: 1, perceptual: 0}.

    It has no weights that are trained: copies of a translator share it.

    Args:
        l1: the weight of the mean absolute difference.
        adversarial: the weight of the adversarial term in the generator's loss (lambda_a); 0 for no discriminator.
        perceptual: the weight of LPIPS (lambda_b); 0 to do without a feature network.
        gan: the adversarial loss: bce (non-saturating), minimax (Eq. 5 to the letter, saturating), lsgan or hinge.
        net: the feature network of the perceptual term. The paper has vgg16; alex and squeeze are far cheaper.

    Raises:
        UserError: when a weight is negative or not finite, or when all are 0.
    """

    def __init__(
        self,
        *,
        l1: Weight = 1.0,
        adversarial: Weight = 10.0,
        perceptual: Weight = 2.0,
        gan: GanMode = "bce",
        net: Backbone = "vgg16",
    ) -> None:
        weights = {"l1": l1, "adversarial": adversarial, "perceptual": perceptual}
        for name, weight in weights.items():
            check_range(f"objective.{name}", weight, Weight)
        if not any(weights.values()):
            raise UserError("the objective is empty: l1, adversarial and perceptual are all 0")
        self.weights = weights
        self.gan: GanMode = gan
        self.net: Backbone = net

    def __deepcopy__(self, memo: dict[int, Any]) -> Objective:
        return self

    @property
    def uses_discriminator(self) -> bool:
        """Return whether the generator's loss has an adversarial term."""
        return self.weights["adversarial"] > 0

    def generator(self, fake: Tensor, target: Tensor, fake_logits: Tensor | None = None) -> dict[str, Tensor]:
        """Return the generator's weighted terms; those with weight 0 are left out.

        Args:
            fake: (B, 3, H, W) in [-1, 1], the generator's images.
            target: (B, 3, H, W) in [-1, 1], the photographs.
            fake_logits: the discriminator's logits on `fake`, of any shape; None leaves the adversarial term out.

        Returns:
            scalars under "l1", "adversarial" and "perceptual", means over the batch; their sum is the loss.

        Raises:
            UserError: when nothing is left, because there are no logits and the other weights are 0.
        """
        terms: dict[str, Tensor] = {}
        if self.weights["l1"]:
            terms["l1"] = (at_least_single(fake) - target).abs().mean()
        if self.weights["adversarial"] and fake_logits is not None:
            terms["adversarial"] = gan_generator_loss(at_least_single(fake_logits), self.gan)
        if self.weights["perceptual"]:
            terms["perceptual"] = lpips_distance(self.net, fake.device)(fake, target).mean()
        if not terms:
            raise UserError("the objective has only an adversarial term, but this translator has no discriminator")
        return {name: self.weights[name] * term for name, term in terms.items()}

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        """Return the discriminator's terms; their sum is its loss.

        The adversarial weight is not in it. Eq. 7 has it on both sides of the min-max, but as a factor on the whole
        of one player's loss it does not matter under Adam, and it would hide from the log where D stands: ln 2 for
        each term is the balance of bce.

        Args:
            real_logits: logits on photographs, of any shape.
            fake_logits: logits on images cut off from the generator.

        Returns:
            scalars under "real" and "fake", means over the batch and all positions.
        """
        logits = at_least_single(real_logits), at_least_single(fake_logits)
        real, fake = gan_discriminator_loss(*logits, self.gan)
        return {"real": real, "fake": fake}
