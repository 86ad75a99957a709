"""A toy translator with closed forms, and toy scenes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any

import torch
from torch import nn

from metai2i import Batch, Match, Move, Objective, Retriever, Split, Step, Task, TaskSource, TaskSpec, Translator
from metai2i.losses.networks import NETWORKS
from metai2i.metrics import METRICS
from metai2i.pipeline.sources import Sources
from metai2i.recipe.schema import Row


class Toy(Translator):
    """A generator of one 1x1 convolution, and a discriminator of another, with plain losses."""

    def __init__(self, *, spec: TaskSpec, objective: Objective | None = None, adversarial: bool = True) -> None:
        super().__init__()
        self.generator = nn.Conv2d(spec.structure_channels, 3, 1)
        self.discriminator = nn.Conv2d(3, 1, 1) if adversarial else None
        self.seen: torch.Tensor
        self.register_buffer("seen", torch.zeros(()))

    def players(self) -> dict[str, Iterable[nn.Parameter]]:
        networks = {"discriminator": self.discriminator, "generator": self.generator}
        return {name: network.parameters() for name, network in networks.items() if network is not None}

    def training_step(self, batch: Batch, step: Step) -> Iterator[Move]:
        self.seen += 1
        fake = self.generator(batch["structure"])
        if self.discriminator:
            real, faked = self.discriminator(batch["target"]), self.discriminator(fake.detach())
            yield "discriminator", {"real": (real - 1).square().mean(), "fake": faked.square().mean()}
        losses = {"l2": (fake - batch["target"]).square().mean()}
        if self.discriminator:
            losses["adversarial"] = (self.discriminator(fake) - 1).square().mean()
        yield "generator", losses

    def translate(self, batch: Batch) -> torch.Tensor:
        generated: torch.Tensor = self.generator(batch["structure"])
        return generated.clamp(-1, 1)


class ToyTask(Task):
    """Random pairs, the same at every call."""

    def __init__(self, name: str, pairs: int, size: tuple[int, int] = (16, 16), channels: int = 3) -> None:
        self.id, self.pairs, self.size, self.channels = name, pairs, size, channels

    def __len__(self) -> int:
        return self.pairs

    def load(self, indices: Sequence[int]) -> Batch:
        pairs = [self.pair(i) for i in indices]
        return Batch(structure=torch.stack([s for s, _ in pairs]), target=torch.stack([t for _, t in pairs]))

    def pair(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(sum(map(ord, self.id)) * 1000 + i)
        ids = torch.randint(self.channels, self.size, generator=generator)
        one_hot = torch.nn.functional.one_hot(ids, self.channels).permute(2, 0, 1).float()
        return one_hot, torch.rand(3, *self.size, generator=generator) * 2 - 1


class ToySource(TaskSource):
    """A few toy scenes."""

    test_options = frozenset({"tests"})

    def __init__(
        self, *, pairs: int = 6, scenes: int = 4, tests: str = "test", size: tuple[int, int] = (16, 16)
    ) -> None:
        self.pairs, self.scenes, self.size = pairs, scenes, size
        self.names = {"train": "train", "val": "val", "test": tests}

    def spec(self) -> TaskSpec:
        return TaskSpec(structure_channels=3, size=self.size)

    def tasks(self, split: Split) -> list[Task]:
        return [ToyTask(f"{self.names[split]}-{n}", self.pairs, self.size) for n in range(self.scenes)]


class LastTasks(Retriever):
    """Retrieves the last training tasks, whatever the support."""

    def index(self, tasks: Sequence[Task]) -> None:
        self.known = list(tasks)

    def query(self, support: Batch, k: int) -> list[Match]:
        return [Match(task, 1.0 / (n + 1)) for n, task in enumerate(self.known[::-1][:k])]


class ToyRegistry:
    """Knows the toys and what it is given, by (kind, name)."""

    def __init__(self, **strategies: type) -> None:
        self.known: dict[tuple[str, str], type] = {
            ("translator", "toy"): Toy,
            ("task source", "toys"): ToySource,
            ("retriever", "last"): LastTasks,
            **{("metric", name): metric for name, metric in METRICS.items()},
            **{("network", name): each for name, each in NETWORKS.items()},
            **{("strategy", name): strategy for name, strategy in strategies.items()},
        }
        self.sources: dict[str, str] = {}

    def get(self, kind: str, name: str) -> type:
        return self.known[kind, name]

    def depends(self, kind: str, name: str) -> Sources:
        digest = sha256(self.sources.get(name, "v1").encode()).hexdigest()
        return Sources({f"{name}.py": digest}, frozenset({"alex"} if name == "lpips" else ()))

    def identity(self, kind: str, name: str) -> dict[str, str | None]:
        return {"name": name, "distribution": None, "version": None, "source": self.sources.get(name, "v1")}


def toy_row(strategy: str = "bil", /, **sections: Any) -> Row:
    """A checked row of toys; `sections` are put over its own, key by key."""
    row: dict[str, Any] = {
        "tasks": {"use": "toys"},
        "translator": {"use": "toy"},
        "strategy": {"use": strategy},
        "episodes": {"shots": 2, "queries": 3},
        "augment": None,
        "metatrain": {"iterations": 4, "tasks": 2, "lr": 1e-2},
        "adapt": {"iterations": 3, "lr": 1e-2},
        "aux": {"iterations": 2, "tasks": 2},
        "evaluate": {"images": 0},
    }
    for name, section in sections.items():
        merge = isinstance(section, dict) and isinstance(row.get(name), dict)
        row[name] = {**row[name], **section} if merge else section
    return Row.model_validate_json(json.dumps(row))
