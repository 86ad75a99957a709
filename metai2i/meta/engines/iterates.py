"""Where the iterates of an inner loop are kept until the way back needs them: all of them, some of them, or on disk."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, Protocol

import torch

from metai2i.meta.engines.inner_steps import InnerSteps, Iterate

Keep = Literal["all", "sqrt", "disk"]
"""`all` in memory; `sqrt`, every sqrt(steps)-th in memory, and the others taken anew from there; `disk`, in files in
the system's folder for temporary ones."""


class Iterates(Protocol):
    """What a way of keeping does. The first iterate is the general model, and need not be put."""

    def put(self, i: int, iterate: Iterate) -> None:
        """Keep the i-th iterate, from which the i-th step starts; in rising order."""

    def take(self, i: int) -> Iterate:
        """Give it back, once; in falling order."""


@contextmanager
def kept_iterates(keep: Keep, inner: InnerSteps, steps: int) -> Iterator[Iterates]:
    """Give somewhere to keep the iterates of an inner loop of so many steps."""
    if keep == "disk":
        with TemporaryDirectory(prefix="metai2i-iterates-") as folder:
            yield OnDisk(inner.start, Path(folder))
    else:
        yield InMemory(inner.start, inner.advance, every=1 if keep == "all" else max(1, math.isqrt(steps)))


class InMemory:
    """Every `every`-th iterate in memory.

    Args:
        start: gives the first iterate.
        advance: takes a step, for those in between.
        every: 1 for all.
    """

    def __init__(self, start: Callable[[], Iterate], advance: Callable[[int, Iterate], Iterate], every: int) -> None:
        self.start, self.advance, self.every = start, advance, every
        self.held: dict[int, Iterate] = {}

    def put(self, i: int, iterate: Iterate) -> None:
        """Keep it if it is one of those."""
        if i and i % self.every == 0:
            self.held[i] = iterate

    def take(self, i: int) -> Iterate:
        """Give it back, or take the steps to it from the nearest one before, and keep those on the way."""
        if i in self.held:
            return self.held.pop(i)
        before = i - i % self.every
        at = self.held[before] if before else self.start()
        for n in range(before, i):
            at = self.advance(n, at)
            if n + 1 < i:
                self.held[n + 1] = at
        return at


class OnDisk:
    """Every iterate in a file.

    Args:
        start: gives the first iterate.
        folder: where the files go.
    """

    def __init__(self, start: Callable[[], Iterate], folder: Path) -> None:
        self.start, self.folder = start, folder

    def put(self, i: int, iterate: Iterate) -> None:
        """Write it."""
        if i:
            parameters = [p.detach() for p in iterate.parameters]
            torch.save((parameters, iterate.moments, iterate.buffers), self._file(i))

    def take(self, i: int) -> Iterate:
        """Read it, and delete the file."""
        if not i:
            return self.start()
        iterate = Iterate(*torch.load(self._file(i), weights_only=True))
        self._file(i).unlink()
        return iterate

    def _file(self, i: int) -> Path:
        return self.folder / f"{i}.pt"
