"""What a meta strategy must beat: the general model as it is, fine-tuning it, and copying a support photo."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from torch import Tensor, nn

from metai2i import Adaptation, Batch, MetaStrategy, Move, Register, Step, Translator, hookimpl
from metai2i.inner import adapted, instance_of, settle
from metai2i.similarity import summed_iou


class NoAdaptation(MetaStrategy):
    """The general model as it is (the paper's rows without "n-shot")."""

    meta = False

    def __init__(self, *, inner: Adaptation) -> None:
        self.inner = inner

    def adapt(self, gp: Translator, support: Batch, step: Step) -> Translator:
        """A copy that is not adapted."""
        return settle(instance_of(gp))


class FineTune(MetaStrategy):
    """Fine-tunes an ordinarily trained model on the support pairs (the paper's "Pix2pix (n-shot)")."""

    meta = False

    def __init__(self, *, inner: Adaptation) -> None:
        self.inner = inner

    def adapt(self, gp: Translator, support: Batch, step: Step) -> Translator:
        """A copy after `adapt.iterations` steps on the support."""
        return adapted(gp, support, self.inner, step)


class Copy(MetaStrategy):
    """Returns the support photo whose label map is most similar: the baseline nobody may lose to unnoticed."""

    meta = False

    def __init__(self, *, inner: Adaptation) -> None:
        self.inner = inner

    def adapt(self, gp: Translator, support: Batch, step: Step) -> Translator:
        """A translator that only knows the support."""
        return Copier(support)


class Copier(Translator):
    """Translates by looking up the support pair whose label map has the highest summed IoU (Eq. 3) with the query's."""

    def __init__(self, support: Batch) -> None:
        super().__init__()
        self.support = support

    def players(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Nobody plays."""
        return {}

    def training_step(self, batch: Batch, step: Step) -> Iterator[Move]:
        """No moves."""
        return iter(())

    def translate(self, batch: Batch) -> Tensor:
        """The chosen support photos, (B, 3, H, W) in [-1, 1]."""
        score = summed_iou(batch["structure"], self.support["structure"])
        return self.support["target"][score.argmax(1)]


@hookimpl
def register_strategies(register: Register) -> None:
    """Hands over `none`, `finetune` and `copy`."""
    register("none", NoAdaptation)
    register("finetune", FineTune)
    register("copy", Copy)
