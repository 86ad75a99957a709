"""`Task`, `Episode`, `TaskSpec` and the second interface, `TaskSource`."""

from __future__ import annotations

import hashlib
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.spacing import evenly_spaced
from metai2i.errors import UserError, counted
from metai2i.field import Field, exemplified, standard_field
from metai2i.randomness import Randomness

if TYPE_CHECKING:
    from metai2i.data.augment import Augment

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

log = logging.getLogger("metai2i")
_AT_ONCE = 8
"""Samples that are loaded together to be hashed."""
_PATIENCE = 10.0
"""Seconds that this may take without a word."""


@dataclass(frozen=True)
class TaskSpec:
    """What a translator must know of the data to be built.

    Args:
        structure_channels: C of `structure` (the number of classes for one-hot label maps; 0 without `structure`).
        size: (H, W) of every image.
        fields: the names that every batch of the source has.
        domains: the number of domains, for unpaired data (0 otherwise).
        classes: the names of the structure channels, for people to read.
        palette: one (R, G, B) in 0..255 for each structure channel, for showing label maps.
        also: what further fields are, and standard ones that are not as usual, by name; `reference_X` is as X is.
    """

    structure_channels: int
    size: tuple[int, int]
    fields: frozenset[str] = frozenset({"structure", "target"})
    domains: int = 0
    classes: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    also: Mapping[str, Field] = field(default_factory=dict, hash=False)

    def known_field(self, name: str) -> Field | None:
        """Return what a field is; None for one of which neither `also` nor its name says anything."""
        shown = exemplified(name)
        if shown in self.also:
            return self.also[shown]
        if shown == "structure":
            return Field("onehot", self.structure_channels, self.classes, self.palette)
        return Field("label", self.domains) if shown == "domain" else standard_field(shown)

    def field(self, name: str) -> Field:
        """Return what a field is.

        Raises:
            KeyError: for one of which neither `also` nor its name says anything.
        """
        known = self.known_field(name)
        if known is None:
            raise KeyError(f"the data does not say what {name!r} is; a source says so by `TaskSpec.also`")
        return known


@dataclass(frozen=True)
class Episode:
    """A few pairs to adapt on and further pairs of the same scene to judge by.

    The paper calls them the IS-training and the IS-test split of a task.

    Args:
        task: the id of the scene.
        support: the pairs to adapt on, as many as there are shots.
        query: the pairs to judge by; of a scene of several pairs none of them is in the support.
        real: samples that a set of outputs is compared with, if a metric asks for them; they stay where they are.
    """

    task: str
    support: Batch
    query: Batch
    real: Batch | None = None

    def to(self, device: torch.device | str) -> Episode:
        """Return the episode on another device."""
        return Episode(self.task, self.support.to(device), self.query.to(device), self.real)


class Task(ABC):
    """One scene: a person, a clip, a street, a pair.

    A task source subclasses it with `id`, `__len__` and `load`; the rest follows from these.
    """

    id: str

    @abstractmethod
    def __len__(self) -> int:
        """Return how many samples (pairs) the scene has."""

    @abstractmethod
    def load(self, indices: Sequence[int]) -> Batch:
        """Return the samples at `indices`, in that order, not augmented, on the CPU; the same at every call."""

    def draw(self, index: int, rng: Randomness) -> Batch:
        """Return the sample at `index` for a step of plain training, where a scene may pair it with others by chance.

        By default `load([index])`. A source of unpaired data overrides it to draw the other side anew in each step::

            def draw(self, index, rng):
                other = int(torch.randint(len(self.references), (1,), generator=rng.generator()))
                return self.load([index]).replace(reference=self.references[other])

        Args:
            index: the sample's place.
            rng: the address of this draw; the same gives the same.

        Returns:
            one sample with the fields of `load`.
        """
        return self.load([index])

    def maps(self, limit: int = 16) -> Tensor:
        """Label maps for retrievers: (N, H, W) int64 class ids of at most `limit` evenly spaced samples."""
        return self.load(evenly_spaced(len(self), limit))["structure"].argmax(dim=1)

    @property
    def files(self) -> Sequence[Path]:
        """Return the files that the samples are read from, as many for each, sample by sample and the photograph first.

        `metai2i data check` looks at them. None by default, for samples that are drawn.
        """
        return ()

    def unread(self) -> Iterable[UserError]:
        """Return what is wrong with files that training may draw and that no sample of `load` shows, by file.

        `metai2i data check` asks for it. None by default, where samples show all files.
        """
        return ()

    @property
    def support_only(self) -> frozenset[int]:
        """Return the places of samples that episodes never judge: exemplars that a list names, say. They may be
        photographs that trained.

        None by default.
        """
        return frozenset()

    def fingerprint(self) -> str | None:
        """Return a string that changes when the scene's samples change; what is kept of a scene on the disk is kept
        under it.

        It must tell by what files hold (`metai2i.data.content_digests`), for names, sizes and times may stay when a
        file changes. None, the default, says that only the samples themselves tell.
        """
        return None

    def episode(self, shots: int, queries: int, rng: Randomness, augment: Augment | None = None) -> Episode:
        """Draw `shots` support and `queries` query samples, disjoint, without replacement.

        A scene of a single pair cannot be split. It gives that pair as its support and `queries` augmented copies of
        it as its query, which is what the paper must do on BDD100K (the inner loop augments the support on its own).

        Raises:
            UserError: when the scene has several pairs, but fewer than `shots + queries`.
        """
        if len(self) == 1:
            pair = self.load([0])
            query = pair.select([0] * queries)
            return Episode(self.id, pair.select([0] * shots), augment(query, rng.at("query")) if augment else query)
        if len(self) < shots + queries:
            raise UserError(
                f"task {self.id!r} has {counted(len(self), 'pair')}, but an episode takes {shots} shots + "
                f"{queries} queries",
                hint=f"lower episodes.shots or episodes.queries to {len(self)} together, or leave the task out",
            )
        # From the two ends of one shuffle: the queries do not depend on the number of shots, nor the other way round.
        order = shuffled(self, rng)
        samples = self.load([*order[len(self) - shots :], *order[:queries]])
        return Episode(self.id, samples.select(range(shots)), samples.select(range(shots, shots + queries)))

    def real(self, shots: int, rng: Randomness, count: int | None = None) -> Batch | None:
        """Return the scene's samples that are not in the support that `episode` draws at the same address, the queries
        first, not augmented; at most `count` of them.

        None, for the queries alone, where there is no further sample: in a scene of a single pair, and in one that
        draws its episodes in a way of its own and has no `real` of its own.
        """
        if len(self) == 1 or type(self).episode is not Task.episode:
            return None
        return self.load(shuffled(self, rng)[: len(self) - shots][:count])


class TaskSource(ABC):
    """Where scenes come from. The keyword-only constructor is the option schema of `tasks:` in a recipe.

    `provides` names the fields of every batch; a translator that needs others is refused before anything runs.
    `test_options` names the options that choose what tests; if they touch training, its fingerprint tells. Rows that
    differ in these alone share what they train. `must_be_read` names fields without which its samples, as its options
    have them, would be taken for something else: a row whose translator and strategy read none of them is refused.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"structure", "target"})
    test_options: ClassVar[frozenset[str]] = frozenset()
    must_be_read: frozenset[str] = frozenset()
    licences: ClassVar[Mapping[str, str]] = {}
    """Under which licence its data are, by what has it, for model cards: {"OpenMoji": "CC BY-SA 4.0"}. Nothing where
    the data are the user's own."""

    @abstractmethod
    def spec(self) -> TaskSpec:
        """Return what a translator must know to be built."""

    @abstractmethod
    def tasks(self, split: Split) -> Sequence[Task]:
        """Return the scenes of a split, in a fixed order; no scene is in two splits. May be empty for "val"."""

    def remarks(self) -> Sequence[str]:
        """Return what the data's owner should know about the files read so far, though nothing had to be refused.

        A sentence for each kind of remark, with counts; `metai2i data check` tells them, and so does `metai2i run` at
        its end. None by default.
        """
        return ()

    def fingerprint(self, split: Split) -> str:
        """Return a string that changes when the scenes of a split change; what is made from them is kept under it.

        It must tell by what files hold, for names, sizes and times may stay when a file changes. A source that reads
        files should override it with ids, names and `metai2i.data.digests.content_digests`, which remembers what it has
        read. The default takes each scene's own fingerprint, and where a scene has none it loads all of its samples.
        """
        began = time.monotonic()
        entries = [
            (task.id, len(task), mark if (mark := task.fingerprint()) is not None else samples_digest(task))
            for task in self.tasks(split)
        ]
        if time.monotonic() - began > _PATIENCE:
            log.info("every sample of split %s was read to know whether it has changed; a `fingerprint` of %s's own "
                     "would be faster", split, type(self).__name__)  # fmt: skip
        return hashlib.sha256(repr(entries).encode()).hexdigest()


def shuffled(task: Task, rng: Randomness) -> list[int]:
    """Return the places of a scene's samples in the order that episodes are drawn from."""
    order: list[int] = torch.randperm(len(task), generator=rng.at("episode").generator()).tolist()
    return order


def samples_digest(task: Task) -> str:
    """Return a hash of all samples of a scene, bit for bit."""
    parts = [range(at, min(at + _AT_ONCE, len(task))) for at in range(0, len(task), _AT_ONCE)]
    return batch_digest(*(task.load(part) for part in parts))


def batch_digest(*batches: Batch) -> str:
    """Return a hash of every field of some batches, bit for bit."""
    hasher = hashlib.sha256()
    for batch in batches:
        for name, tensor in sorted(batch.items()):
            hasher.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
            hasher.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return hasher.hexdigest()
