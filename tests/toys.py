"""A toy translator with closed forms, and toy scenes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from metai2i import Batch, Objective, Task, TaskSource, TaskSpec, Translator
from torch import nn


class Toy(Translator):
    """A generator of one 1x1 convolution, and a discriminator of another, with plain losses."""

    def __init__(self, *, spec: TaskSpec, objective: Objective | None = None, adversarial: bool = True) -> None:
        super().__init__()
        self.generator = nn.Conv2d(spec.structure_channels, 3, 1)
        self.discriminator = nn.Conv2d(3, 1, 1) if adversarial else None
        self.register_buffer("seen", torch.zeros(()))

    def players(self):
        players = {"discriminator": self.discriminator.parameters()} if self.discriminator else {}
        return {**players, "generator": self.generator.parameters()}

    def training_step(self, batch, step):
        self.seen += 1
        fake = self.generator(batch["structure"])
        if self.discriminator:
            real, made = self.discriminator(batch["target"]), self.discriminator(fake.detach())
            yield "discriminator", {"real": (real - 1).square().mean(), "fake": made.square().mean()}
        losses = {"l2": (fake - batch["target"]).square().mean()}
        if self.discriminator:
            losses["adversarial"] = (self.discriminator(fake) - 1).square().mean()
        yield "generator", losses

    def translate(self, batch):
        return self.generator(batch["structure"]).clamp(-1, 1)


class ToyTask(Task):
    """Random pairs, the same at every call."""

    def __init__(self, name: str, pairs: int, size: tuple[int, int] = (16, 16), channels: int = 3) -> None:
        self.id, self.pairs, self.size, self.channels = name, pairs, size, channels

    def __len__(self) -> int:
        return self.pairs

    def load(self, indices: Sequence[int]) -> Batch:
        made = [self.pair(i) for i in indices]
        return Batch(structure=torch.stack([s for s, _ in made]), target=torch.stack([t for _, t in made]))

    def pair(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(sum(map(ord, self.id)) * 1000 + i)
        ids = torch.randint(self.channels, self.size, generator=generator)
        one_hot = torch.nn.functional.one_hot(ids, self.channels).permute(2, 0, 1).float()
        return one_hot, torch.rand(3, *self.size, generator=generator) * 2 - 1


class ToySource(TaskSource):
    """A few toy scenes."""

    def __init__(self, *, pairs: int = 6, scenes: int = 4, size: tuple[int, int] = (16, 16)) -> None:
        self.pairs, self.scenes, self.size = pairs, scenes, size

    def spec(self) -> TaskSpec:
        return TaskSpec(structure_channels=3, size=self.size)

    def tasks(self, split):
        return [ToyTask(f"{split}-{n}", self.pairs, self.size) for n in range(self.scenes)]
