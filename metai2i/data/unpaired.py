"""`UnpairedScene`: a scene whose samples are inputs of some domains and photographs of another, which show no pair."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.digests import content_digests
from metai2i.data.images import as_photographs, channels_first
from metai2i.errors import UserError
from metai2i.randomness import Randomness
from metai2i.tasks import Episode, Task, shuffled

if TYPE_CHECKING:
    from metai2i.data.augment import Augment

ReadPhotograph = Callable[[Path], np.ndarray]
"""Gives the photograph in a file, (H, W, 3) uint8."""
ReadMap = Callable[[Path], np.ndarray]
"""Gives a map of the photograph in a file, (H, W, C) uint8."""


@dataclass(frozen=True)
class Pool:
    """The photographs of a domain.

    Args:
        domain: its number.
        files: in their order.
    """

    domain: int
    files: tuple[Path, ...]


class UnpairedScene(Task):
    """Translation into one domain: `source` and its `domain`, `reference`, `reference2` and their `reference_domain`.

    A sample is a photograph of the scene's domain, as `reference`, and beside it one of another domain to translate, as
    `source`. `load` always gives a reference the same source; `draw`, for plain training, draws the source and
    `reference2` by chance. A support shows the photographs of its samples alone, so its `reference2` are these as well;
    with `of_support` so are the references of a query.

    Args:
        id: the scene's.
        target: the domain that is translated into, of two photographs or more.
        sources: the domains that inputs are of.
        read: gives the photograph in a file.
        reading: what decides, beside the files, how images turn out; a version and the size, say.
        of_support: whether a query's exemplars are those of the support. So it is for scenes to be judged on.
        drawn: the domains that inputs of plain training are of; as `sources` when None.
        truths: the file of the right output for the file of an input, which samples then have as `target`; the
            reference where there is none, and always in a support. Without it there is no `target`.
        maps: further fields of inputs, by name.
        beside: the files that these are read from, besides the photographs.
        labels: a number for each file, which samples then have as `label`, of the input, and `reference_label`.
    """

    def __init__(
        self,
        id: str,
        target: Pool,
        sources: Sequence[Pool],
        read: ReadPhotograph,
        *,
        reading: str,
        of_support: bool = False,
        drawn: Sequence[Pool] | None = None,
        truths: Mapping[Path, Path] | None = None,
        maps: Mapping[str, ReadMap] | None = None,
        beside: Sequence[Path] = (),
        labels: Mapping[Path, int] | None = None,
    ) -> None:
        self.id, self.target, self.sources = id, target, tuple(sources)
        self.read, self.reading, self.of_support, self.truths = read, reading, of_support, truths
        self.input_maps, self.beside, self.labels = dict(maps or {}), tuple(beside), labels
        self.drawn = self.sources if drawn is None else tuple(drawn)
        here = Randomness(("unpaired", id))
        self._orders = [_order(len(pool.files), here.at("source", n)) for n, pool in enumerate(self.sources)]
        cycle = _order(len(target.files), here.at("reference2"))
        self._next = {index: cycle[(n + 1) % len(cycle)] for n, index in enumerate(cycle)}

    def __len__(self) -> int:
        return len(self.target.files)

    def load(self, indices: Sequence[int]) -> Batch:
        """Return `source` and `reference` (N, 3, H, W) in [-1, 1], `domain` (N,), and the like, as the class says.

        Raises:
            UserError: naming the file, for a photograph that cannot be read.
        """
        places = [int(index) for index in indices]
        return self._batch(places, [self._next[place] for place in places], [self._source(place) for place in places])

    def draw(self, index: int, rng: Randomness) -> Batch:
        """Return the photograph at `index` as the reference of an input by chance, for plain training: one sample.

        Args:
            index: of the sample.
            rng: the address of the draw.
        """
        u, v, w = torch.rand(3, generator=rng.generator(), dtype=torch.float64).tolist()
        pool = self.drawn[int(u * len(self.drawn))]
        other = (index + 1 + int(w * (len(self) - 1))) % len(self) if len(self) > 1 else index
        return self._batch([index], [other], [(pool, int(v * len(pool.files)))])

    def episode(self, shots: int, queries: int, rng: Randomness, augment: Augment | None = None) -> Episode:
        """Draw `shots` support and `queries` query samples, disjoint; see the class for what they are shown.

        Raises:
            UserError: when there are fewer than `shots + queries`.
        """
        episode = super().episode(shots, queries, rng, augment)
        shown = episode.support["reference"]
        support = episode.support.replace(reference2=shown.roll(-1, 0))
        if self.truths is not None:
            support = support.replace(target=shown)
        if not self.of_support:
            return replace(episode, support=support)
        chosen = torch.randint(shots, (queries,), generator=rng.at("exemplar").generator())
        query = episode.query.replace(reference=shown[chosen], reference2=shown[(chosen + 1) % shots])
        if self.labels is not None:
            query = query.replace(reference_label=support["reference_label"][chosen])
        return replace(episode, support=support, query=query)

    def real(self, shots: int, rng: Randomness, count: int | None = None) -> Batch | None:
        """Return photographs of the domain that are not in the support that `episode` draws at the same address, as
        `reference`; as `target` as well, where the scene has any.
        """
        if len(self) <= shots:
            return None
        batch = self.load(shuffled(self, rng)[: len(self) - shots][:count])
        return batch if self.truths is None else batch.replace(target=batch["reference"])

    @property
    def files(self) -> Sequence[Path]:
        """Return, for each sample, the files of its truth if there are any, its reference and its source."""
        files: list[Path] = []
        for place in range(len(self)):
            pool, at = self._source(place)
            source = pool.files[at]
            files += [*([self.truths[source]] if self.truths else []), self.target.files[place], source]
        return files

    def unread(self) -> Iterable[UserError]:
        """Return what is wrong with inputs that only a draw shows: there are more of them than of references."""
        pools = [*self.sources, *(pool for pool in self.drawn if pool not in self.sources)]
        shown = {pool.files[at] for pool, at in map(self._source, range(len(self)))} | {*self.target.files}
        for path in dict.fromkeys(path for pool in pools for path in pool.files if path not in shown):
            try:
                for read in (self.read, *self.input_maps.values()):
                    read(path)
            except UserError as error:
                yield error

    def fingerprint(self) -> str:
        """Return names and contents of all photographs that the scene may show, and how they are read; contents of the
        files beside them.
        """
        pools = [self.target, *self.sources, *(pool for pool in self.drawn if pool not in self.sources)]
        truths = [self.truths[path] for pool in self.sources for path in pool.files] if self.truths else []
        files = [*(path for pool in pools for path in pool.files), *truths]
        names = [(pool.domain, [path.name for path in pool.files]) for pool in pools]
        further: list[object] = [content_digests(self.beside)] if self.beside else []
        if self.labels is not None:
            further.append([self.labels[path] for pool in pools for path in pool.files])
        return repr((self.reading, self.of_support, names, content_digests(files), *further))

    def _source(self, place: int) -> tuple[Pool, int]:
        """Return the input of a sample: of each domain in turn, in an order that the scene's id decides."""
        n = place % len(self.sources)
        order = self._orders[n]
        return self.sources[n], order[place // len(self.sources) % len(order)]

    def _batch(self, places: Sequence[int], others: Sequence[int], sources: Sequence[tuple[Pool, int]]) -> Batch:
        inputs = [pool.files[at] for pool, at in sources]
        shown = [self.target.files[place] for place in places]
        batch = Batch(
            source=self._photographs(inputs),
            domain=torch.tensor([pool.domain for pool, _ in sources]),
            reference=self._photographs(shown),
            reference2=self._photographs([self.target.files[other] for other in others]),
            reference_domain=torch.full((len(places),), self.target.domain),
            **{
                name: channels_first([read(path) for path in inputs]).div_(255)
                for name, read in self.input_maps.items()
            },
        )
        if self.labels is not None:
            numbers = [torch.tensor([self.labels[path] for path in paths]) for paths in (inputs, shown)]
            batch = batch.replace(label=numbers[0], reference_label=numbers[1])
        if self.truths is None:
            return batch
        truths = [self.truths.get(path, exemplar) for path, exemplar in zip(inputs, shown, strict=True)]
        return batch.replace(target=self._photographs(truths))

    def _photographs(self, files: Sequence[Path]) -> Tensor:
        return as_photographs([self.read(path) for path in files])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r}, {len(self)} photographs)"


def _order(count: int, rng: Randomness) -> list[int]:
    order: list[int] = torch.randperm(count, generator=rng.generator()).tolist()
    return order
