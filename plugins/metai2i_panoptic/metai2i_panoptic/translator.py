"""`Panoptic`: from label maps with instances to photographs, after Dundar et al., "Panoptic-based Image Synthesis"
(2020)."""

from __future__ import annotations

from typing import Literal

from metai2i_spade import (
    Fakes,
    Generator,
    JudgedGenerator,
    Layers,
    PlainNorm,
    SpadeNorm,
    doublings_of,
    edges,
    widths_of,
)
from torch import nn

from metai2i import Batch, Count, Objective, Positive, TaskSpec, Weight
from metai2i_panoptic.convolution import Aware
from metai2i_panoptic.guided import FirstConvolution, GuidedConvolution, GuidedUpsample, PanopticGuide
from metai2i_panoptic.upsampling import HoleFill, Neighbours


class Panoptic(JudgedGenerator):
    """SPADE's residual generator of convolutions and upsamplings that keep instances apart; trained as SPADE is.

    It is made after the paper's description, since its source is not public: the label map goes in where the generator
    begins and wherever upsampling leaves a hole, and no normalisation sees it. The discriminator is SPADE's, and is
    also shown where instances meet. The published settings are those of `spade`.

    Args:
        spec: the data's, from the host.
        objective: the recipe's, from the host; without an adversarial term there is no discriminator.
        width: features of the generator's last block (the paper has 64); memory and time grow with its square.
        ups: how many times the generator doubles the resolution; by default as often as it can begin with 4 pixels a
            side, 5 times at the most.
        conv: plain; partial, which leaves out what lies beyond the border of the image; panoptic, which leaves out all
            that is of another instance than the middle of the window.
        upsample: nearest; panoptic, which takes each feature from the nearest pixel of its instance.
        hole_fill: what upsampling puts where none is near: conv, a panoptic-aware convolution of the label map;
            nearest, the nearest feature whosesoever it is.
        neighbours: where upsampling looks: four cells (own, right, below, diagonal), or all nine around.
        ids: instances; classes, for comparison: the classes of the label map in their place, so that nothing tells two
            instances of one class apart.
        labels: where the label map goes in besides: input, as above; norm, at every normalisation as in SPADE as well.
        hidden: with `labels: norm`, features between the label map and what it does to a normalisation; twice the
            width by default.
        norm: instance (each image by itself), or batch.
        matching: weight of the distance in the discriminator's features.
        d_width: features of the discriminator's first layer; as `width` by default.
        d_layers: convolutions of each scale of the discriminator before its last.
        d_scales: how many scales it has.
        d_fake: which images the discriminator is shown in its own move: fresh, those of the generator that has just
            moved; same, those that it has judged already, which saves a forward pass.
        d_rate: the discriminator's learning rate, as a multiple of the recipe's.

    Raises:
        UserError: when the size does not fit `ups`.
    """

    needs = JudgedGenerator.needs | {"instances"}

    def __init__(
        self,
        *,
        spec: TaskSpec,
        objective: Objective,
        width: Count = 64,
        ups: Count | None = None,
        conv: Aware = "panoptic",
        upsample: Literal["nearest", "panoptic"] = "panoptic",
        hole_fill: HoleFill = "conv",
        neighbours: Neighbours = "four",
        ids: Literal["instances", "classes"] = "instances",
        labels: Literal["input", "norm"] = "input",
        hidden: Count | None = None,
        norm: Literal["instance", "batch"] = "instance",
        matching: Weight = 10.0,
        d_width: Count | None = None,
        d_layers: Count = 4,
        d_scales: Count = 2,
        d_fake: Fakes = "fresh",
        d_rate: Positive = 4.0,
    ) -> None:
        doublings = doublings_of(spec.size, ups)
        grid = (spec.size[0] >> doublings, spec.size[1] >> doublings)
        channels = spec.structure_channels

        def convolution(before: int, after: int, kernel: int, bias: bool) -> nn.Module:
            return GuidedConvolution(before, after, kernel, bias, aware=conv)

        def normalisation(features: int) -> nn.Module:
            in_norm = labels == "norm"
            return SpadeNorm(features, channels, hidden or 2 * width, norm) if in_norm else PlainNorm(features, norm)

        layers = Layers(
            norm=normalisation,
            conv=convolution,
            upsample=lambda features: GuidedUpsample(
                features, channels, aware=upsample == "panoptic", hole_fill=hole_fill, neighbours=neighbours
            ),
            last=lambda before, after: GuidedConvolution(before, after, aware=conv, spectral=False),
        )
        first = FirstConvolution(channels, widths_of(width, doublings)[0], grid, aware=conv)
        super().__init__(
            Generator(first, layers, width, doublings),
            objective,
            channels + 1,
            matching=matching,
            d_width=d_width or width,
            d_layers=d_layers,
            d_scales=d_scales,
            d_fake=d_fake,
            d_rate=d_rate,
        )
        self.collapsed = ids == "classes"

    def guide(self, batch: Batch) -> PanopticGuide:
        """Return the label map, the ids, and the edges between these."""
        labels = batch["structure"]
        ids = labels.argmax(1) if self.collapsed else batch["instances"]
        return PanopticGuide(labels, edges(ids).to(labels), ids)
