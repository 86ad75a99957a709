"""A task source and a translator in one file, as somebody outside the project would write them."""

import torch
from torch import nn

from metai2i import Batch, Task, TaskSource, TaskSpec, Translator, hookimpl


class Stripes(TaskSource):
    """Striped maps whose classes have a colour of their own in every scene.

    Args:
        scenes: scenes in each split.
        pairs: pairs in each scene.
        size: height and width.
    """

    def __init__(self, *, scenes: int = 8, pairs: int = 8, size: int = 32) -> None:
        self.scenes, self.pairs, self.size = scenes, pairs, size

    def spec(self):
        """Three classes."""
        return TaskSpec(structure_channels=3, size=(self.size, self.size))

    def tasks(self, split):
        """The scenes of a split."""
        return [Scene(f"{split}-{n}", self.pairs, self.size) for n in range(self.scenes)]


class Scene(Task):
    """One scene."""

    def __init__(self, name, pairs, size):
        self.id, self.pairs, self.size = name, pairs, size

    def __len__(self):
        return self.pairs

    def load(self, indices):
        """Stripes that start elsewhere in every pair."""
        colours = torch.rand(3, 3, generator=torch.Generator().manual_seed(sum(map(ord, self.id)))) * 2 - 1
        ids = torch.stack([(torch.arange(self.size) // 4 + i) % 3 for i in indices])[:, None].expand(-1, self.size, -1)
        return Batch(
            structure=nn.functional.one_hot(ids, 3).permute(0, 3, 1, 2).float(), target=colours[ids].permute(0, 3, 1, 2)
        )


class Line(Translator):
    """One 1x1 convolution.

    Args:
        gain: multiplies its output.
    """

    def __init__(self, *, spec, objective, gain: float = 1.0) -> None:
        super().__init__()
        self.objective, self.gain = objective, gain
        self.generator = nn.Conv2d(spec.structure_channels, 3, 1)

    def players(self):
        """A generator alone."""
        return {"generator": self.generator.parameters()}

    def training_step(self, batch, step):
        """One move."""
        yield "generator", self.objective.generator(self.translate(batch), batch["target"])

    def translate(self, batch):
        """A colour for each class."""
        return (self.gain * self.generator(batch["structure"])).tanh()


@hookimpl
def register_task_sources(register):
    """Hands over `stripes`."""
    register("stripes", Stripes)


@hookimpl
def register_translators(register):
    """Hands over `line`."""
    register("line", Line)
