"""Twins made of blocks, for trials of the prior."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from metai2i import Batch, Field, Randomness, Split, Task, TaskSource, TaskSpec

FIELDS = frozenset({"source", "target", "domain", "mask", "twin", "twin_domain", "twin_mask"})


class Blocks(Task):
    def __init__(self, name: str, number: int) -> None:
        self.id, self.number = name, number

    def __len__(self) -> int:
        return 6

    def load(self, indices: Sequence[int]) -> Batch:
        samples = [self._sample(int(index)) for index in indices]
        return Batch(**{name: torch.stack([sample[name] for sample in samples]) for name in samples[0]})

    def _sample(self, index: int) -> dict[str, torch.Tensor]:
        draw = Randomness((self.id, index)).generator()
        mask = torch.rand(1, 8, 8, generator=draw).round().repeat_interleave(4, 1).repeat_interleave(4, 2)
        colours = torch.rand(2, 3, generator=draw) * 1.6 - 0.8
        source, twin = (mask * colour[:, None, None] for colour in colours)
        numbers = {"domain": torch.tensor(self.number), "twin_domain": torch.tensor(1 - self.number)}
        return {"source": source, "target": source, "twin": twin, "mask": mask, "twin_mask": mask, **numbers}


class BlockTwins(TaskSource):
    """A class of blocks and another."""

    provides = FIELDS

    def spec(self) -> TaskSpec:
        photo, mask, label = Field("photo"), Field("map", 1), Field("label", 2)
        also = {"twin": photo, "mask": mask, "twin_mask": mask, "domain": label, "twin_domain": label}
        return TaskSpec(0, (32, 32), FIELDS, domains=2, also=also)

    def tasks(self, split: Split) -> Sequence[Task]:
        return [Blocks(f"{split}-{n}", n % 2) for n in range(4)]
