"""Translators that strategies are tried with: one with all that is awkward, one with a closed form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from metai2i.batch import Batch
from metai2i.tasks import TaskSpec
from metai2i.translator import Move, Role, Step, Translator


class Awkward(Translator):
    """Three players, two of which move at once, running statistics, and a buffer that counts steps."""

    steps: Tensor

    def __init__(self, *, spec: TaskSpec) -> None:
        super().__init__()
        self.generator = nn.Sequential(
            nn.Conv2d(spec.structure_channels, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.Softplus(),
            nn.Conv2d(4, 3, 1),
        )
        self.tint = nn.Parameter(torch.zeros(3, 1, 1))
        self.discriminator = nn.Conv2d(3, 1, 1)
        self.register_buffer("steps", torch.zeros(()))

    def players(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return a discriminator, a generator and a tint."""
        return {
            "discriminator": self.discriminator.parameters(),
            "generator": self.generator.parameters(),
            "tint": [self.tint],
        }

    def training_step(self, batch: Batch, step: Step) -> Iterator[Move]:
        """Yield the discriminator moves, then generator and tint at once."""
        self.steps += 1
        fake = self.translate(batch)
        real, faked = self.discriminator(batch["target"]), self.discriminator(fake.detach())
        yield "discriminator", {"real": (real - 1).square().mean(), "fake": faked.square().mean()}
        fooled = (self.discriminator(fake) - 1).square().mean()
        yield ("generator", "tint"), {"l2": (fake - batch["target"]).square().mean(), "fooled": fooled}

    def translate(self, batch: Batch) -> Tensor:
        """Return images in (-1, 1)."""
        images: Tensor = (self.generator(batch["structure"]) + self.tint).tanh()
        return images


class Redraws(Awkward):
    """The same from image to image: it reads no label maps."""

    needs = frozenset({"source", "target"})

    def __init__(self, *, spec: TaskSpec) -> None:
        super().__init__(spec=replace(spec, structure_channels=3))

    def translate(self, batch: Batch) -> Tensor:
        """Return images in (-1, 1)."""
        return super().translate(Batch(structure=batch["source"]))


class Spied(Awkward):
    """Notes in which roles it is driven, in a list that all copies share."""

    roles: ClassVar[list[Role]] = []

    @classmethod
    def of(cls, model: Translator) -> Spied:
        """Return a model that says so of itself."""
        model.__class__ = cls
        return cast(Spied, model)

    def training_step(self, batch: Batch, step: Step) -> Iterator[Move]:
        """Take the same step."""
        self.roles.append(step.role)
        yield from super().training_step(batch, step)


class Colours(Translator):
    """A colour for each class and a squared error: every inner step and every meta-gradient has a closed form."""

    def __init__(self, *, spec: TaskSpec) -> None:
        super().__init__()
        self.colours = nn.Parameter(torch.linspace(-0.5, 0.5, 3 * spec.structure_channels).view(3, -1).double())

    def players(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return the colours."""
        return {"colours": [self.colours]}

    def training_step(self, batch: Batch, step: Step) -> Iterator[Move]:
        """Yield the mean squared error."""
        yield "colours", {"l2": (self.translate(batch) - batch["target"]).square().mean()}

    def translate(self, batch: Batch) -> Tensor:
        """Return the colour of each pixel's class."""
        return torch.einsum("rc,bchw->brhw", self.colours, batch["structure"])
