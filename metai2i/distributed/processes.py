"""`Processes`: several processes that work on one run, and what they say to each other.

Each has the whole model and takes its share of the episodes of a meta-batch, or of the scenes to score. No network is
wrapped: the meta-gradient is summed by one all-reduce, everything else goes through `gather`. The processes are started
and ended by `metai2i.distributed.launch`.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from metai2i.errors import UserError, UserErrors
from metai2i.files import refusal

T = TypeVar("T")


class Elsewhere(BaseException):
    """Another process has failed, and this one stops for it. Like an interruption it is nobody's fault here.

    Args:
        process: which one, from 1.
        texts: its errors if a user can put them right, else its traceback.
        user: whether a user can put them right.
    """

    def __init__(self, process: int, texts: Sequence[str], user: bool) -> None:
        super().__init__(process)
        self.process, self.texts, self.user = process, tuple(texts), user

    def error(self) -> Exception:
        """Return the other process's error, to be raised in this one."""
        if self.user:
            return UserErrors([UserError(text) for text in self.texts])
        return RuntimeError(f"process {self.process} failed:\n{''.join(self.texts)}")


class Lost(BaseException):
    """Another process has ended without a word."""


@dataclass(frozen=True)
class Link:
    """How a process reaches the others.

    Args:
        talk: the gloo group of all processes.
        nccl: the group in which GPUs add gradients; None on CPUs, and where processes share a GPU.
    """

    talk: Any
    nccl: Any = None


@dataclass(frozen=True)
class Processes:
    """The processes of a run, as one of them sees them.

    Args:
        rank: which one this is, from 0. The first writes stages, results and reports, and tells the user.
        count: how many there are.
        link: how it reaches the others; None when it is alone, and then nothing here needs torch.distributed.
        threads: those that the first may take while the others wait, and those of each while all work; None where
            they are not to be changed.
    """

    rank: int = 0
    count: int = 1
    link: Link | None = None
    threads: tuple[int, int] | None = None

    @property
    def first(self) -> bool:
        """Return whether this is the process that writes and tells."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> list[T]:
        """Return this process's part: every `count`-th, so that parts differ by one item at most."""
        return list(items[self.rank :: self.count])

    def gather(self, mine: T) -> list[T]:
        """Return what each process has to say, in their order; everybody waits for everybody.

        Raises:
            Elsewhere: when another process tells of its failure instead.
            Lost: when another process is gone.
        """
        if self.link is None:
            return [mine]
        answers = self._exchange((mine, None))
        for number, (_, failure) in enumerate(answers, 1):
            if failure is not None:
                raise Elsewhere(number, *failure)
        return [value for value, _ in answers]

    def on_first(self, work: Callable[[], T]) -> T:
        """Return what `work` gives in the first process, for all: the others wait."""
        if not self.first:
            return self.gather(None)[0]  # type: ignore[return-value]
        with self._all_threads():
            result = work()
        return self.gather(result)[0]

    def add(self, flat: Tensor) -> None:
        """Put the sum over all processes into `flat`, by one all-reduce."""
        if self.link is None:
            return
        through_host = flat.is_cuda and self.link.nccl is None
        added = flat.cpu() if through_host else flat  # a GPU's own errors come up here, and are no lost process
        try:
            dist.all_reduce(added, group=self.link.nccl if added.is_cuda else self.link.talk)
        except RuntimeError as error:
            raise Lost from error
        if through_host:
            flat.copy_(added)

    def tell(self, error: Exception) -> None:
        """Tell the first process of a failure, and wait until it has ended the run."""
        if self.link is None:
            return
        with suppress(Lost):
            self._exchange((None, failure_of(error)))
        self.outlast()

    def outlast(self) -> None:
        """Wait until the first process has ended: it would be ended before it has spoken if another one were gone."""
        with suppress(Lost):
            self._exchange((None, None))  # which the first does not answer

    def _exchange(self, mine: tuple[Any, Any]) -> list[tuple[Any, Any]]:
        answers: list[Any] = [None] * self.count
        try:
            assert self.link is not None
            dist.all_gather_object(answers, mine, group=self.link.talk)
        except RuntimeError as error:
            raise Lost from error
        return answers

    @contextmanager
    def _all_threads(self) -> Iterator[None]:
        """Give this process, within it, the threads of those that wait for it."""
        if self.threads is None:
            yield
            return
        everybodys, per_process = self.threads
        torch.set_num_threads(everybodys)
        try:
            yield
        finally:
            torch.set_num_threads(per_process)


ALONE = Processes()
"""A run of one process."""


def failure_of(error: Exception) -> tuple[list[str], bool]:
    """Return an error as texts, and whether a user can put it right."""
    if isinstance(error, UserError):
        return [str(each) for each in (error.errors if isinstance(error, UserErrors) else [error])], True
    if isinstance(error, OSError):
        return [refusal(error)], True
    return traceback.format_exception(error), False
