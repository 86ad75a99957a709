"""What others must beat: the model as it is, fine-tuning it, copying a support photo, retrieving at random; and without
pairs, the input as it is or in the exemplar's colours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256

import torch
from torch import Tensor, nn

from metai2i import (
    Adaptation,
    Batch,
    Match,
    MetaStrategy,
    Move,
    Randomness,
    Register,
    Retriever,
    Seed,
    Step,
    Task,
    Translator,
    hookimpl,
)
from metai2i.data import summed_iou
from metai2i.meta import adapted, detach, instance_of

FAINT = 1e-3
"""A deviation below this is rounding, for a level of an 8-bit image is 0.008."""


class NoAdaptation(MetaStrategy):
    """The general model as it is (the paper's rows without "n-shot")."""

    meta = False

    def __init__(self, *, inner: Adaptation) -> None:
        """Make it; it takes no inner step."""

    def adapt(self, gp: Translator, support: Batch, step: Step) -> Translator:
        """Return a copy that is not adapted."""
        return detach(instance_of(gp))


class FineTune(MetaStrategy):
    """Fine-tunes an ordinarily trained model on the support pairs (the paper's "Pix2pix (n-shot)")."""

    meta = False

    def __init__(self, *, inner: Adaptation) -> None:
        self.inner = inner

    def adapt(self, gp: Translator, support: Batch, step: Step) -> Translator:
        """Return a copy after `adapt.iterations` steps on the support."""
        return adapted(gp, support, self.inner, step)


class Copy(MetaStrategy):
    """Returns the support photo whose label map is most similar: the baseline nobody may lose to unnoticed."""

    meta = False
    needs = frozenset({"structure", "target"})

    def __init__(self, *, inner: Adaptation) -> None:
        """Make it; it takes no inner step."""

    def adapt(self, gp: Translator, support: Batch, step: Step) -> Translator:
        """Return a translator that only knows the support."""
        return Copier(support)


class Copier(Translator):
    """Translates by looking up the support pair whose label map has the highest summed IoU (Eq. 3) with the query's."""

    def __init__(self, support: Batch) -> None:
        super().__init__()
        self.support = support

    def players(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return no players."""
        return {}

    def training_step(self, batch: Batch, step: Step) -> Iterator[Move]:
        """Yield no moves."""
        return iter(())

    def translate(self, batch: Batch) -> Tensor:
        """Return the chosen support photos, (B, 3, H, W) in [-1, 1]."""
        score = summed_iou(batch["structure"], self.support["structure"])
        return self.support["target"][score.argmax(1)]


class Source(MetaStrategy):
    """Hands back the input as it is: what translation without pairs must beat, since much of an input may stay."""

    meta = False
    needs = frozenset({"source"})

    def __init__(self, *, inner: Adaptation) -> None:
        """Make it; it takes no inner step."""

    def adapt(self, gp: Translator, support: Batch, step: Step) -> Translator:
        """Return a translator that knows nothing."""
        return Unchanged()


class Colours(MetaStrategy):
    """Hands back the input in the colours of the exemplar: what translation without pairs must beat as well.

    Each channel is given the exemplar's mean and standard deviation (after Reinhard et al., "Color Transfer between
    Images", 2001, who do so in another colour space).
    """

    meta = False
    needs = frozenset({"source", "reference"})

    def __init__(self, *, inner: Adaptation) -> None:
        """Make it; it takes no inner step."""

    def adapt(self, gp: Translator, support: Batch, step: Step) -> Translator:
        """Return a translator that knows nothing but its exemplar."""
        return Recoloured()


class Unchanged(Translator):
    """Translates by handing back its input."""

    def players(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return no players."""
        return {}

    def training_step(self, batch: Batch, step: Step) -> Iterator[Move]:
        """Yield no moves."""
        return iter(())

    def translate(self, batch: Batch) -> Tensor:
        """Return the sources, (B, 3, H, W) in [-1, 1]."""
        return batch["source"].clone()


class Recoloured(Unchanged):
    """Translates by giving its input the colours of the exemplar."""

    def translate(self, batch: Batch) -> Tensor:
        """Return the sources with mean and deviation of the references in each channel, (B, 3, H, W) in [-1, 1]."""
        images = []
        for source, reference in zip(batch["source"], batch["reference"], strict=True):
            mean, deviation = source.mean((1, 2), keepdim=True), source.std((1, 2), keepdim=True)
            wanted, spread = reference.mean((1, 2), keepdim=True), reference.std((1, 2), keepdim=True)
            images.append((source - mean) / deviation.clamp(min=FAINT) * spread + wanted)
        return torch.stack(images).clamp(-1, 1)


class Random(Retriever):
    """Training scenes drawn at random: what retrieval by similarity must beat.

    Args:
        seed: another seed draws other scenes. The same support gets the same ones.
    """

    needs = frozenset()

    def __init__(self, *, seed: Seed = 0) -> None:
        self.seed = seed
        self.tasks: Sequence[Task] = ()

    def index(self, tasks: Sequence[Task]) -> None:
        """Take in the candidates."""
        self.tasks = tasks

    def query(self, support: Batch, k: int) -> list[Match]:
        """Return `k` of them, decided by the support's label maps, or where it has none by all of it; the scores are 0,
        -1, -2 and so on, in the order drawn.
        """
        if "structure" in support:
            decides = [support["structure"].argmax(1).to(torch.uint8)]
        else:
            decides = [support[name] for name in sorted(support)]
        content = b"".join(tensor.cpu().contiguous().numpy().tobytes() for tensor in decides)
        address = Randomness((self.seed, "random", sha256(content).hexdigest()))
        order = torch.randperm(len(self.tasks), generator=address.generator()).tolist()
        return [Match(self.tasks[place], -float(rank)) for rank, place in enumerate(order[:k])]


@hookimpl
def register_retrievers(register: Register) -> None:
    """Hand over `random`."""
    register("random", Random)


@hookimpl
def register_strategies(register: Register) -> None:
    """Hand over `none`, `finetune`, `copy`, `source` and `colours`."""
    register("none", NoAdaptation)
    register("finetune", FineTune)
    register("copy", Copy)
    register("source", Source)
    register("colours", Colours)
