"""`PG2`: a reference photograph shows how the image is to look (Ma et al., "Pose Guided Person Image Generation",
2017), in one stage as the BiL paper has it, or in the two of the original."""

from __future__ import annotations

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
    Step,
    TaskSpec,
    Translator,
    UserError,
    check_range,
    did_you_mean,
)
from metai2i.losses import PatchGAN, check_patches
from metai2i_pg2.coarse import Coarse
from metai2i_pg2.dcgan import DCGAN
from metai2i_pg2.difference import Difference
from metai2i_pg2.resunet import ResUNet
from metai2i_pg2.sizes import check_layers, depth


class PG2(Translator):
    """A generator draws the photograph from the structure and a reference; a discriminator tells it from the real one.

    The variant bil has one stage, a residual U-Net with a PatchGAN, and the recipe's objective. The original has two.
    In the phase coarse, a network with a fully connected bottleneck minimises L1, counted twice on the foreground. In
    the phase refine it stands still; a second network draws what is to be added to its image, and minimises the
    recipe's objective, with L1 counted twice on the foreground again. A scene is adapted to in the phase refine, which
    is the only one that bil has: of `pretrain.iterations: {coarse: 22000, refine: 38000}` it takes the latter.

    The published settings for people of 128x64 are `variant: original, d_loss: triplet, outer_skip: false` with
    `objective: {l1: 10, adversarial: 1, perceptual: 0}` and a rate of 2e-5.

    Args:
        spec: the data's, from the host.
        objective: the recipe's, from the host; without an adversarial term there is no discriminator.
        variant: bil (one stage, as the BiL paper has it) or original (two stages).
        width: channels of the generators at full resolution; 64 for bil and 128 for original by default. Memory and
            time grow with its square.
        downs: how many times the generator (in original, that of the first stage; the second stops two short of it)
            halves the resolution. By default as often as 4 pixels a side are left, 5 times at the most.
        widest: at how many channels doubling ends (bil only), 512 by default.
        foreground: structure channels, by name or number, on which L1 counts twice (original only); by default all
            but the first.
        outer_skip: whether the second stage's decoder sees its encoder's features at full resolution (original only);
            by default it does.
        d_width: channels of the discriminator's first layer; by default as `width` for bil, half of it for original.
        d_layers: stride-2 layers of the discriminator. For bil, 1, 2, 3, 4 judge patches of 16, 34, 70, 142 pixels,
            and 3 is the default; in original it judges the whole image, with as many layers as `downs` by default.
        d_condition: what the discriminator sees besides the image: none, structure, or structure+reference; by
            default structure for bil and none for original.
        d_loss: what the discriminator is to call fake: the image (pair), or in equal parts the image and the
            reference (triplet).
        d_scale: a factor on the discriminator's loss, which slows it down under SGD.

    Raises:
        UserError: when the size does not fit `downs` or `d_layers`, or when an option is out of its range.
    """

    needs = frozenset({"structure", "target", "reference"})
    phases: tuple[str, ...] = ("coarse", "refine")
    replayable = True

    def __init__(
        self,
        *,
        spec: TaskSpec,
        objective: Objective,
        variant: Literal["bil", "original"] = "bil",
        width: Count | None = None,
        downs: Count | None = None,
        widest: Count | None = None,
        foreground: tuple[int | str, ...] | None = None,
        outer_skip: bool | None = None,
        d_width: Count | None = None,
        d_layers: Count | None = None,
        d_condition: Literal["none", "structure", "structure+reference"] | None = None,
        d_loss: Literal["pair", "triplet"] = "pair",
        d_scale: Positive = 0.5,
    ) -> None:
        super().__init__()
        one_stage = variant == "bil"
        others = {"foreground": foreground, "outer_skip": outer_skip} if one_stage else {"widest": widest}
        for name, given in others.items():
            if given is not None:
                raise UserError(f"pg2: variant {variant} has no {name}", hint="leave it out, or change variant")
        numbers = {"width": width, "downs": downs, "widest": widest, "d_width": d_width, "d_layers": d_layers}
        for name, number in numbers.items():
            check_range(f"translator.{name}", number, Count | None)
        check_range("translator.d_scale", d_scale, Positive)
        downs = depth(spec.size, downs)
        d_condition = d_condition or ("structure" if one_stage else "none")
        channels = {"structure": spec.structure_channels, "reference": 3}
        self.condition = () if d_condition == "none" else tuple(d_condition.split("+"))
        judged = 3 + sum(channels[name] for name in self.condition)

        self.objective, self.d_scale, self.triplet = objective, d_scale, d_loss == "triplet"
        self.coarse: Coarse | None = None
        self.generator: ResUNet | Difference
        self.discriminator: PatchGAN | DCGAN | None = None
        if one_stage:
            self.phases = ("refine",)
            width, layers = width or 64, d_layers or 3
            self.generator = ResUNet(sum(channels.values()), width, downs, widest or 512)
            if objective.uses_discriminator:
                check_patches("pg2", spec.size, layers)
                self.discriminator = PatchGAN(judged, d_width or width, layers)
        else:
            if not objective.weights["l1"]:
                raise UserError("objective.l1: got 0, expected more than 0: the coarse stage of pg2 minimises L1 alone")
            width, layers = width or 128, d_layers or downs
            self.foreground = channels_of(spec, foreground)
            self.coarse = Coarse(sum(channels.values()), spec.size, width, downs)
            self.generator = Difference(width, max(0, downs - 2), outer_skip is not False)
            if objective.uses_discriminator:
                check_layers(spec.size, layers)
                self.discriminator = DCGAN(judged, spec.size, d_width or max(1, width // 2), layers)

    def players(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return the generator of the first stage and the discriminator, if there are such, and the generator."""
        networks = {"coarse": self.coarse, "discriminator": self.discriminator, "generator": self.generator}
        return {name: network.parameters() for name, network in networks.items() if network is not None}

    def training_step(self, batch: Batch, step: Step) -> Iterator[Move]:
        """Yield, in the phase coarse, the first stage; then the discriminator and the generator, on the same images."""
        target = batch["target"]
        if self.coarse is not None and step.phase == "coarse":
            coarse = self.coarse(_beside(batch, "structure", "reference"))
            l1 = self.objective.weights["l1"] * (coarse - target).abs().mean()
            yield "coarse", {"l1": l1, "foreground_l1": self._foreground_l1(coarse, batch)}
            return
        fake, logits = self._draw(batch), None
        if self.discriminator is not None:
            fakes = [fake.detach(), batch["reference"]] if self.triplet else [fake.detach()]
            called_fake = torch.cat([self._judge(batch, images) for images in fakes])
            terms = self.objective.discriminator(self._judge(batch, target), called_fake)
            yield "discriminator", {name: self.d_scale * term for name, term in terms.items()}
            logits = self._judge(batch, fake)
        losses = self.objective.generator(fake, target, logits)
        if self.coarse is not None:
            losses["foreground_l1"] = self._foreground_l1(fake, batch)
        yield "generator", losses

    def translate(self, batch: Batch) -> Tensor:
        """Return the images for `batch["structure"]` that look as `batch["reference"]` does."""
        return self._draw(batch).clamp(-1, 1)

    def _draw(self, batch: Batch) -> Tensor:
        """Return images (B, 3, H, W); those of two stages are a sum, which nothing holds within [-1, 1]."""
        given = _beside(batch, "structure", "reference")
        if self.coarse is None:
            images: Tensor = self.generator(given)
            return images
        with torch.no_grad():
            coarse = self.coarse(given)
        refined: Tensor = coarse + self.generator(coarse, batch["reference"])
        return refined

    def _judge(self, batch: Batch, images: Tensor) -> Tensor:
        assert self.discriminator is not None
        logits: Tensor = self.discriminator(torch.cat([*(batch[name] for name in self.condition), images], dim=1))
        return logits

    def _foreground_l1(self, images: Tensor, batch: Batch) -> Tensor:
        """Return the weighted mean over all positions of what differs on the foreground."""
        mask = batch["structure"][:, list(self.foreground)].sum(dim=1, keepdim=True).clamp(max=1)
        return self.objective.weights["l1"] * ((images - batch["target"]).abs() * mask).mean()


def _beside(batch: Batch, *names: str) -> Tensor:
    """Join fields (B, C, H, W) along the channels."""
    return torch.cat([batch[name] for name in names], dim=1)


def channels_of(spec: TaskSpec, wanted: tuple[int | str, ...] | None) -> tuple[int, ...]:
    """Return the numbers of the structure channels that are wanted, by name or number; all but the first for None.

    Raises:
        UserError: for a name or number that the data does not have.
    """
    if wanted is None:
        return tuple(range(1, spec.structure_channels))
    for channel in wanted:
        if isinstance(channel, str) and channel not in spec.classes:
            raise UserError(
                f"pg2: foreground: the data has no class {channel!r}", hint=did_you_mean(channel, spec.classes)
            )
        if isinstance(channel, int) and not 0 <= channel < spec.structure_channels:
            count = spec.structure_channels
            raise UserError(f"pg2: foreground: got channel {channel}, the structure has the channels 0 to {count - 1}")
    return tuple(spec.classes.index(channel) if isinstance(channel, str) else channel for channel in wanted)
