"""`ToyScenes`: small scenes made of blocks, on which components are tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.errors import UserError
from metai2i.field import FAKE
from metai2i.randomness import Randomness
from metai2i.stages.fakes import FakedTask
from metai2i.tasks import Split, Task, TaskSource, TaskSpec

CLASSES = ("floor", "wall", "door")
SCENE_SIZE = (32, 32)
SCENE_FIELDS = frozenset({"structure", "target", "source", "domain", "instances", "reference2", "fake"})
"""What toy scenes can have; exemplars are the host's to make."""
TWIN_FIELDS = frozenset({"mask", "twin", "twin_domain", "twin_mask"})
"""What they can have besides: the same blocks in the colours of the other domain, and where there is no floor."""
DOMAINS = 2
"""Of scenes whose samples have a domain."""

_CELL = 4
_SCENES: dict[Split, int] = {"train": 6, "val": 2, "test": 2}
_PAIRS = 6


class ToyScenes(TaskSource):
    """Maps of square blocks; every scene has a colour for each class.

    Args:
        spec: how many classes and how large, and how many domains.
        fields: what every batch has.

    Raises:
        UserError: for a field that toy scenes cannot have.
    """

    def __init__(self, *, spec: TaskSpec | None = None, fields: frozenset[str] = frozenset({"structure", "target"})):
        known = SCENE_FIELDS | TWIN_FIELDS
        strange = sorted(fields - known)
        if strange:
            raise UserError(
                f"toy scenes have no field {strange[0]!r}, only {', '.join(sorted(known))}",
                hint="name a task source that has it: `source=`, or `--tasks NAME` on the command line",
            )
        given = spec or toy_spec()
        self._spec = replace(given, domains=given.domains or DOMAINS) if "domain" in fields else given
        self.provides = fields  # type: ignore[misc]  # a class attribute of others

    def spec(self) -> TaskSpec:
        """Return the spec as given, with two domains where samples have a domain and it has none."""
        return self._spec

    def tasks(self, split: Split) -> Sequence[Task]:
        """Return a few scenes."""
        return [ToyScene(f"toy-{split}-{n}", self._spec, self.provides) for n in range(_SCENES[split])]


def toy_spec(size: tuple[int, int] = SCENE_SIZE, classes: tuple[str, ...] = CLASSES) -> TaskSpec:
    """Return a spec with named classes, each with a colour."""
    palette = tuple((40 * n % 256, 90 * n % 256, 160 * n % 256) for n in range(len(classes)))
    return TaskSpec(structure_channels=len(classes), size=size, classes=classes, palette=palette)


class ToyScene(Task):
    """One scene.

    Args:
        name: its id, which decides its colours and maps.
        spec: how many classes and how large.
        fields: what its batches have.
    """

    def __init__(self, name: str, spec: TaskSpec, fields: frozenset[str]) -> None:
        self.id, self.spec, self.fields = name, spec, fields

    def __len__(self) -> int:
        return _PAIRS

    def load(self, indices: Sequence[int]) -> Batch:
        """Return the samples, not augmented."""
        samples = [self._sample(int(i)) for i in indices]
        return Batch(**{name: torch.stack([sample[name] for sample in samples]) for name in sorted(self.fields)})

    def _sample(self, index: int) -> dict[str, Tensor]:
        draw = Randomness((self.id, index)).generator()
        (height, width), classes = self.spec.size, max(1, self.spec.structure_channels)
        rows, columns = -(-height // _CELL), -(-width // _CELL)
        cells = torch.randint(classes, (rows, columns), generator=draw)
        numbers = torch.arange(1, rows * columns + 1).view(rows, columns)  # each block is an instance of its class
        ids = cells.repeat_interleave(_CELL, 0).repeat_interleave(_CELL, 1)[:height, :width]
        shade, domains = torch.linspace(-0.2, 0.2, width), max(1, self.spec.domains)
        sample = {
            "structure": torch.nn.functional.one_hot(ids, classes).permute(2, 0, 1).float(),
            "target": self._colours("target", classes)[ids].permute(2, 0, 1) + shade,
            "source": self._colours("source", classes)[ids].permute(2, 0, 1) + shade,
            "reference2": self._colours("target", classes)[ids.flip(0)].permute(2, 0, 1) + shade,
            "fake": self._colours("fake", classes)[ids].permute(2, 0, 1) + shade,
            "domain": torch.tensor(index % domains),
            "instances": numbers.repeat_interleave(_CELL, 0).repeat_interleave(_CELL, 1)[:height, :width].clone(),
            "mask": (ids > 0).float()[None],
            "twin": self._colours("twin", classes)[ids].permute(2, 0, 1) + shade,
            "twin_domain": torch.tensor((index + 1) % domains),
            "twin_mask": (ids > 0).float()[None],
        }
        return {name: sample[name] for name in self.fields}

    def _colours(self, what: str, classes: int) -> Tensor:
        """Return (classes, 3) in [-0.8, 0.8], so that shading stays in range."""
        return torch.rand(classes, 3, generator=Randomness((self.id, what)).generator()) * 1.6 - 0.8


class WithFakes(TaskSource):
    """Scenes of a task source with what some model might make of them: the photographs, mirrored."""

    def __init__(self, source: TaskSource) -> None:
        self.source = source
        self.provides = frozenset(source.provides) | {FAKE}  # type: ignore[misc]  # a class attribute of others

    def spec(self) -> TaskSpec:
        """Return the spec of the source."""
        return self.source.spec()

    def tasks(self, split: Split) -> Sequence[Task]:
        """Return the scenes of the source."""
        return [FakedTask(task, _mirrored, Randomness((task.id,)), 0) for task in self.source.tasks(split)]


def _mirrored(pair: Batch, others: Batch, rng: Randomness) -> Batch:
    return pair.replace(**{FAKE: pair["target"].flip(-1)})
