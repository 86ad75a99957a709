"""A one-file plugin with a translator that can be asked in two ways, and scenes of three domains for it.

In the way `exemplar` an output is half the source and half the mean colour of the exemplar; in the way `latent` the
colour is that of the exemplar's domain, and noise. Images may be `darker`.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

PLUGIN = """
import metai2i
import torch
from torch import nn

DOMAINS = ("spring", "summer", "autumn")


class Look(metai2i.Task):
    def __init__(self, name):
        self.id, self.domain = name, int(name[-1]) % 3

    def __len__(self):
        return 8

    def fingerprint(self):
        return self.id

    def load(self, indices):
        drawn = [metai2i.Randomness((self.id, int(i))).generator() for i in indices]
        source = torch.stack([torch.rand(3, 16, 16, generator=g) - 0.5 for g in drawn])
        colour = torch.eye(3)[self.domain][:, None, None] - 0.5
        shade = torch.stack([torch.rand(1, generator=g)[:, None, None] for g in drawn]) * 0.4
        domain = torch.full((len(indices),), self.domain)
        return metai2i.Batch(source=source, target=(0.5 * source + 0.5 * colour - shade).clamp(-1, 1), domain=domain)


class Looks(metai2i.TaskSource):
    provides = frozenset({"source", "target", "domain"})

    def __init__(self) -> None:
        pass

    def spec(self):
        also = {"domain": metai2i.Field("label", 3, DOMAINS)}
        return metai2i.TaskSpec(structure_channels=0, size=(16, 16), fields=self.provides, domains=3, also=also)

    def tasks(self, split):
        return [Look(f"{split}-{n}") for n in range(3)]


class TwoWays(metai2i.Translator):
    needs = frozenset({"source", "target", "reference", "reference_domain"})
    ways = {
        "exemplar": frozenset({"source", "reference"}),
        "latent": frozenset({"source", "reference_domain"}),
    }
    samples = frozenset({"latent"})
    paint_options = frozenset({"darker"})

    def __init__(self, *, spec, objective, darker: float = 0.0, mixed: float = 0.5) -> None:
        super().__init__()
        self.darker = darker
        self.heads = nn.Parameter(torch.eye(3) - 0.5)
        self.mix = nn.Parameter(torch.tensor(mixed))

    def players(self):
        return {"generator": [self.heads, self.mix]}

    def training_step(self, batch, step):
        fakes = [self.mixed(batch, batch["reference"].mean((2, 3))), self.mixed(batch, self.of_domain(batch))]
        yield "generator", {"l1": sum((fake - batch["target"]).abs().mean() for fake in fakes)}

    def translate(self, batch, way="exemplar"):
        if way == "exemplar":
            return (self.mixed(batch, batch["reference"].mean((2, 3))) - self.darker).clamp(-1, 1)
        colour = self.of_domain(batch)
        return (self.mixed(batch, colour + 0.2 * torch.randn(colour.shape).to(colour)) - self.darker).clamp(-1, 1)

    def of_domain(self, batch):
        return self.heads[batch["reference_domain"] % 3]

    def mixed(self, batch, colour):
        return (1 - self.mix) * batch["source"] + self.mix * colour[:, :, None, None]


class Nearness(metai2i.Metric):
    label, higher_is_better, needs = "nearness ↓", False, frozenset({"reference"})

    def __call__(self, images, query):
        return (images.mean((2, 3)) - query["reference"].mean((2, 3))).abs().mean(1)


@metai2i.hookimpl
def register_task_sources(register):
    register("looks", Looks)


@metai2i.hookimpl
def register_translators(register):
    register("two_ways", TwoWays)


@metai2i.hookimpl
def register_metrics(register):
    register("nearness", Nearness)
"""

RECIPE = """
plugins: plugins
tasks: {use: looks}
translator: {use: two_ways}
episodes: {shots: 3, queries: 3}
augment: null
objective: {l1: 1, adversarial: 0, perceptual: 0}
pretrain: {iterations: 2, batch: 2}
adapt: {iterations: 1}
strategy: {use: finetune}
evaluate: {metrics: [mse], images: 1}
rows:
  exemplar: {}
  latent: {evaluate: {way: latent}}
compare: {metric: mse}
"""


def write_two_ways(folder: Path, recipe: str = RECIPE) -> Path:
    """Writes `plugins/two_ways.py` and a recipe with it; returns the latter."""
    (folder / "plugins").mkdir(exist_ok=True)
    (folder / "plugins" / "two_ways.py").write_text(PLUGIN)
    (folder / "recipe.yaml").write_text(textwrap.dedent(recipe))
    return folder / "recipe.yaml"
