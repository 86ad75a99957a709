"""`Flow`: a straight path from the layout, or from noise, to the image, followed in one to a few steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from metai2i import Batch, Count, Move, Objective, Positive, Step, TaskSpec, Translator, UserError, Weight, check_range
from metai2i.losses import PatchGAN, check_patches
from metai2i_flow.network import DIVISOR, TimedUNet


class Flow(Translator):
    """A network is shown a point x = (1 - t) z + t y between a source z and the photograph y, the time t and the
    structure, and says where the path ends.

    The source is a layout, the structure in colours that are learned, or noise. Training sees few times, spread evenly
    over each batch. Asked for an image, it walks from the source to the image in `steps` steps.

    Predicting the image, after bridge matching in few steps (Chadebec et al., "LBM: Latent Bridge Matching", 2025),
    minimises the recipe's objective on what it predicts, with a PatchGAN where that has an adversarial term, as Pix2pix
    does; `times: 1` is the plain regression that it is compared with. Predicting the velocity y - z is conditional flow
    matching (Lipman et al., 2023), which minimises its mean squared error and nothing of the recipe's objective.

    Args:
        spec: the data's, from the host.
        objective: the recipe's, from the host; without an adversarial term there is no discriminator.
        width: channels of the generator's first level; memory and time grow with its square.
        source: where paths begin: layout or noise (with which images differ from call to call).
        predict: what the generator is trained to predict: the image, or the velocity.
        times: how many times training sees: 0, 1/times, 2/times and so on.
        steps: in how many steps an image is made; a divisor of `times`, so that all its times have been trained.
        noise: the standard deviation of what is added to the layout in training, in units of [-1, 1].
        d_width: channels of the discriminator's first layer; as `width` by default.
        d_layers: stride-2 layers of the discriminator; 1, 2, 3, 4 judge patches of 16, 34, 70, 142 pixels.
        d_scale: a factor on the discriminator's loss, which slows it down under SGD.

    Raises:
        UserError: when the size is not divisible by 8 or does not fit `d_layers`, when `steps` does not divide `times`,
            or when an option is out of its range.
    """

    paint_options: ClassVar[frozenset[str]] = frozenset({"steps"})
    replayable = True
    conditions: ClassVar[tuple[str, ...]] = ("structure",)
    """The fields that the networks are shown besides the image."""

    def __init__(
        self,
        *,
        spec: TaskSpec,
        objective: Objective,
        width: Count = 64,
        source: Literal["layout", "noise"] = "layout",
        predict: Literal["image", "velocity"] = "image",
        times: Count = 4,
        steps: Count = 1,
        noise: Weight = 0.005,
        d_width: Count | None = None,
        d_layers: Count = 3,
        d_scale: Positive = 0.5,
    ) -> None:
        super().__init__()
        d_width = width if d_width is None else d_width
        counts = {"width": width, "times": times, "steps": steps, "d_width": d_width, "d_layers": d_layers}
        for name, number in counts.items():
            check_range(f"translator.{name}", number, Count)
        check_range("translator.noise", noise, Weight)
        check_range("translator.d_scale", d_scale, Positive)
        check_steps(steps, times)
        check_size(spec.size)
        self.objective, self.d_scale = objective, d_scale
        self.source, self.predict, self.times, self.steps, self.noise = source, predict, times, steps, noise
        shown = spec.structure_channels + 3 * (len(self.conditions) - 1)
        self.generator = TimedUNet(3 + shown, width)
        self.colours = nn.Conv2d(spec.structure_channels, 3, 1) if source == "layout" else None
        self.discriminator: PatchGAN | None = None
        if objective.uses_discriminator and predict == "image":
            check_patches("flow", spec.size, d_layers)
            self.discriminator = PatchGAN(3 + spec.structure_channels, d_width, d_layers, "instance")

    @property
    def samples(self) -> bool:
        """Return whether images begin with noise."""
        return self.source == "noise"

    def players(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return the discriminator, if there is one, and the generator with the colours of the layout."""
        generator = [*self.generator.parameters(), *(self.colours.parameters() if self.colours is not None else ())]
        discriminator = {} if self.discriminator is None else {"discriminator": self.discriminator.parameters()}
        return {**discriminator, "generator": generator}

    def draws(self, batch: Batch, step: Step) -> Mapping[str, Tensor]:
        """Return the `time` (B,) of each sample, and `noise` (B, 3, H, W).

        Times go round from sample to sample and, in plain training, from step to step, so that each is seen equally
        often; which sample of a batch has which is drawn. Inner steps have no number of their own: each begins the
        round at a time that is drawn.
        """
        generator = step.rng.at("flow").generator()
        order = torch.randperm(batch.size, generator=generator)
        begin = int(torch.randint(self.times, (), generator=generator)) if step.inner else step.index * batch.size
        turn = (begin + order) % self.times
        noise = torch.randn(batch.size, 3, *batch["structure"].shape[-2:], generator=generator)
        return {"time": turn / self.times, "noise": noise}

    def training_step(self, batch: Batch, step: Step) -> Iterator[Move]:
        """Yield the discriminator moves, then the generator, on the same images; of velocities the generator alone."""
        target, time = batch["target"], batch["time"]
        start = self._start(batch, batch["noise"] if self.source == "noise" else self.noise * batch["noise"])
        along = time[:, None, None, None]
        predicted = self._predicted(batch, (1 - along) * start + along * target, time)
        if self.predict == "velocity":
            yield "generator", {"flow": (predicted - (target - start.detach())).square().mean()}
            return
        logits = None
        if self.discriminator is not None:
            real, fake = self._judge(batch, target), self._judge(batch, predicted.detach())
            terms = self.objective.discriminator(real, fake)
            yield "discriminator", {name: self.d_scale * term for name, term in terms.items()}
            logits = self._judge(batch, predicted)
        yield "generator", self.objective.generator(predicted, target, logits)

    def translate(self, batch: Batch) -> Tensor:
        """Return the images for `batch["structure"]`, by steps of equal length (Euler's method)."""
        structure = batch["structure"]
        noise = structure.new_empty(batch.size, 3, *structure.shape[-2:])
        point = self._start(batch, noise.normal_() if self.source == "noise" else noise.zero_())
        for step in range(self.steps):
            time = structure.new_full((batch.size,), step / self.steps)
            predicted = self._predicted(batch, point, time)
            velocity = predicted if self.predict == "velocity" else (predicted - point) / (1 - step / self.steps)
            point = point + velocity / self.steps
        return point.clamp(-1, 1)

    def _start(self, batch: Batch, noise: Tensor) -> Tensor:
        """Return where the paths begin, (B, 3, H, W)."""
        return noise if self.colours is None else self.colours(batch["structure"]).tanh() + noise

    def _predicted(self, batch: Batch, point: Tensor, time: Tensor) -> Tensor:
        """Return the image or velocity (B, 3, H, W) that the generator predicts at points of the paths."""
        shown = [batch[name] for name in self.conditions]
        predicted: Tensor = self.generator(torch.cat([point, *shown], 1), time)
        return predicted.tanh() if self.predict == "image" else predicted

    def _judge(self, batch: Batch, images: Tensor) -> Tensor:
        assert self.discriminator is not None
        logits: Tensor = self.discriminator(torch.cat([batch["structure"], images], 1))
        return logits


class FlowReference(Flow):
    """`flow`, which is shown a reference photograph as well, beside the structure."""

    needs = frozenset({"structure", "target", "reference"})
    conditions = ("structure", "reference")


def check_steps(steps: int, times: int) -> None:
    """Refuse steps to times that training has not seen.

    Raises:
        UserError: naming what divides the times.
    """
    if times % steps:
        fits = ", ".join(str(number) for number in range(1, times + 1) if times % number == 0)
        what = f"translator.steps: got {steps}, expected a divisor of translator.times, {times}"
        raise UserError(what, hint=f"{fits}; then all times of the steps have been trained")


def check_size(size: tuple[int, int]) -> None:
    """Refuse a size that the generator cannot halve as often as it does.

    Raises:
        UserError: with the nearest sizes.
    """
    if any(side % DIVISOR for side in size):
        below, above = ([side // DIVISOR * DIVISOR + more for side in size] for more in (0, DIVISOR))
        near = " and ".join(f"{height}x{width}" for height, width in (below, above) if min(height, width) > 0)
        what = f"flow: size {size[0]}x{size[1]} is not divisible by {DIVISOR}"
        raise UserError(what, hint=f"the nearest sizes are {near}")
