"""How an instance-specific copy is adapted: the recipe's `adapt:` section."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from metai2i.data.augment import Augment
from metai2i.data.reference import Reference
from metai2i.data.retrieved import RetrievedRows

Order = Literal["first", "second"]


@dataclass(frozen=True)
class Adaptation:
    """How an instance-specific copy is adapted: the recipe's `adapt:` section.

    Args:
        iterations: steps; a strategy makes an `Adaptation` of its own for meta-training (`for_training`).
        batch: pairs in a step. Fewer shots are repeated up to it when they are augmented (the paper's five copies).
        lr: the inner learning rate, alpha.
        optimizer: "adam" or "sgd", always with fresh state for each scene.
        betas: of Adam.
        eps: of Adam; in second order its square stands inside the root, since sqrt has no derivative at 0.
        freeze: players that keep the general model's parameters, such as ("discriminator",).
        augment: what is done to the support in every step, if anything.
        reference: how support samples get their references, for translators that need them.
        retrieved: pairs of training scenes that join every batch, which the host puts here for one unseen scene
            (`aux.into: batches`).
    """

    iterations: int = 20
    batch: int = 5
    lr: float = 1e-4
    optimizer: Literal["adam", "sgd"] = "adam"
    betas: tuple[float, float] = (0.5, 0.999)
    eps: float = 1e-8
    freeze: tuple[str, ...] = ()
    augment: Augment | None = None
    reference: Reference | None = None
    retrieved: RetrievedRows | None = None

    def for_training(self, steps: int, lr: float | None = None) -> Adaptation:
        """Return the inner loop of meta-training: so many steps, at `lr`, or at the same rate when None."""
        return replace(self, iterations=steps, lr=self.lr if lr is None else lr)

    def samples(self, support: int) -> int:
        """Return how many samples of a support of this size go through one step, besides those that are retrieved."""
        return self.batch if self.augment else min(self.batch, support)
