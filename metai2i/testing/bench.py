"""`Bench`: a component on trial, and the scenes that it is tried on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from metai2i.adaptation import Adaptation
from metai2i.batch import Batch
from metai2i.data.reference import Reference
from metai2i.data.sampling import Sampling
from metai2i.field import exemplar_fields
from metai2i.randomness import Randomness
from metai2i.tasks import Episode, TaskSource, TaskSpec
from metai2i.translator import Step

SHOTS, QUERIES = 2, 3
PAIRS = frozenset({"structure", "target"})
"""The fields of the models that strategies are tried with."""


@dataclass(frozen=True)
class Bench:
    """All that a contract needs.

    Args:
        component: the class on trial.
        options: its options, checked.
        scenes: what translators, strategies, retrievers and metrics are tried on.
        strategies: those that a translator is tried under, by name.
        needs: the fields of a batch that a translator reads.
        lacking: the fields that the scenes would have to have and have not; then nothing can be tried.
    """

    component: type
    options: Mapping[str, Any]
    scenes: TaskSource
    strategies: Mapping[str, type] = field(default_factory=dict)
    needs: frozenset[str] = PAIRS
    lacking: frozenset[str] = frozenset()

    @property
    def spec(self) -> TaskSpec:
        """Return the spec of the scenes."""
        return self.scenes.spec()

    def make(self, seed: int = 0, **host: Any) -> Any:
        """Return the component, made as the host makes it: torch's global generator is seeded for it.

        Args:
            seed: another one initialises it differently.
            host: what the host adds to the options (`spec`, `objective`, `inner`).
        """
        with address("init", seed).scope():
            return self.component(**host, **self.options)

    def batch(self, size: int, *more: int | str) -> Batch:
        """Return some samples of several scenes, with all fields of the source and those of exemplars that are
        needed.
        """
        return self._sampling.mixed(self.scenes.tasks("train"), size, address("batch", *more))

    def needed(self, size: int, *more: int | str) -> Batch:
        """Return the same with nothing but the fields that a translator needs."""
        batch = self.batch(size, *more)
        return Batch(**{name: batch[name] for name in sorted(self.needs)})

    def episode(self, scene: int = 0, shots: int = SHOTS, queries: int = QUERIES) -> Episode:
        """Return support and query of a training scene, not augmented."""
        task = self.scenes.tasks("train")[scene]
        return self._sampling.episode(task, shots, queries, address("episode", scene))

    def adaptation(self, **changed: Any) -> Adaptation:
        """Return an inner loop of two small steps on the whole support."""
        settings = {"iterations": 2, "batch": SHOTS, "lr": 1e-3, "augment": None, "reference": self._reference}
        return Adaptation(**{**settings, **changed})

    @property
    def _reference(self) -> Reference | None:
        wanted = exemplar_fields(self.needs, self.scenes.provides)
        return Reference().of(wanted, self.spec.known_field) if wanted else None

    @property
    def _sampling(self) -> Sampling:
        return Sampling(None, self._reference)


def address(*more: int | str) -> Randomness:
    """Return an address of its own for each draw of a trial."""
    return Randomness(("contract", *more))


def step_at(index: int = 0, *, phase: str = "train", inner: bool = False, total: int = 4, seed: int = 0) -> Step:
    """Return a step of a trial."""
    return Step(address("step", seed, index), index, total, phase, inner)
