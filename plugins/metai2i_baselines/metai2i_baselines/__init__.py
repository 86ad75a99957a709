"""What others must beat: the model as it is, fine-tuning it, copying a support photo, retrieving at random."""

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


class NoAdaptation(MetaStrategy):
    """The general model as it is (the paper's rows without "n-shot")."""

    meta = False

    def __init__(self, *, inner: Adaptation) -> None:
        self.inner = inner

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
        self.inner = inner

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


class Random(Retriever):
    """Training scenes drawn at random: what retrieval by similarity must beat.

    Args:
        seed: another seed draws other scenes. The same support gets the same ones.
    """

    needs = frozenset({"structure"})

    def __init__(self, *, seed: Seed = 0) -> None:
        self.seed = seed
        self.tasks: Sequence[Task] = ()

    def index(self, tasks: Sequence[Task]) -> None:
        """Take in the candidates."""
        self.tasks = tasks

    def query(self, support: Batch, k: int) -> list[Match]:
        """Return `k` of them, decided by the support's label maps; the scores are 0, -1, -2 and so on, in the order
        drawn.
        """
        maps = support["structure"].argmax(1).to("cpu", torch.uint8).contiguous()
        address = Randomness((self.seed, "random", sha256(maps.numpy().tobytes()).hexdigest()))
        order = torch.randperm(len(self.tasks), generator=address.generator()).tolist()
        return [Match(self.tasks[place], -float(rank)) for rank, place in enumerate(order[:k])]


@hookimpl
def register_retrievers(register: Register) -> None:
    """Hand over `random`."""
    register("random", Random)


@hookimpl
def register_strategies(register: Register) -> None:
    """Hand over `none`, `finetune` and `copy`."""
    register("none", NoAdaptation)
    register("finetune", FineTune)
    register("copy", Copy)
