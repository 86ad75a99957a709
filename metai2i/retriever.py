"""The fourth interface, `Retriever`: which training scenes are like this one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from metai2i.batch import Batch
from metai2i.tasks import Task


@dataclass(frozen=True)
class Match:
    """A retrieved task and its score; higher is more similar."""

    task: Task
    score: float


class Retriever(ABC):
    """Finds the training scenes most similar to a few support pairs.

    The keyword-only constructor is the option schema of `retriever:` in a recipe (which also has `k`). `needs` names
    the batch fields that it reads of supports and scenes (`structure` for `Task.maps`); a task source that lacks one is
    refused before anything runs. With `fake` among them the host adds what the general model makes of each sample, to
    supports and to what `Task.load` gives, for scenes on which it errs alike.
    """

    needs: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def index(self, tasks: Sequence[Task]) -> None:
        """Take in the candidates: always the training tasks. Called once, before any query."""

    @abstractmethod
    def query(self, support: Batch, k: int) -> Sequence[Match]:
        """Return the `k` most similar tasks (or all, when there are fewer), best first; ties in the order of
        the index.
        """
