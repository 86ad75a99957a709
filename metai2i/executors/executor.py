"""Who works on a graph of stages, and what is said between it and its workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from metai2i.errors import UserError, UserErrors
from metai2i.pipeline.request import RunRequest
from metai2i.pipeline.runner import Runner


class Executor(Protocol):
    """Works on the stages of planned runs ahead of the runs, which find them done then."""

    def work(self, runners: Sequence[Runner], requests: Sequence[RunRequest]) -> Mapping[str, Exception]:
        """Work on all stages that are not done; return what has failed, by the keys of the stages.

        Stages that need one that has failed are left out, and fail with it.

        Args:
            runners: planned.
            requests: what each of them was asked for.

        Raises:
            UserError: when nothing can be worked on.
        """
        ...


class Local:
    """Leaves all stages to the runs themselves, which work on them one after another in this process."""

    def work(self, runners: Sequence[Runner], requests: Sequence[RunRequest]) -> Mapping[str, Exception]:
        """Return that nothing has failed."""
        return {}


@dataclass(frozen=True)
class StageOrder:
    """What a worker is asked to do, on any machine.

    Args:
        request: what the run was asked for; its paths are absolute, or relative to `home`.
        key: of the stage.
        home: the folder that the run was started in.
        settings: environment variables that decide what is planned.
        threads: of the worker.
        resume: whether to go on with what an interrupted run has left.
        identity: what the stage store says of itself, by which it is known to be the same.
        store: the stage store, absolute.
    """

    request: RunRequest
    key: str
    home: Path
    settings: tuple[tuple[str, str], ...]
    threads: int
    resume: bool
    identity: str
    store: Path


class Outcome(NamedTuple):
    """What has become of an order.

    Args:
        host: the machine that it was worked on.
        log: levels and texts of what was said meanwhile.
        texts: errors if a user can put them right, else a traceback; nothing when all went well.
        user: whether a user can put them right.
    """

    host: str
    log: tuple[tuple[int, str], ...] = ()
    texts: tuple[str, ...] = ()
    user: bool = True

    def error(self, title: str) -> Exception | None:
        """Return what went wrong, if something did."""
        if not self.texts:
            return None
        if self.user:
            return UserErrors([UserError(text) for text in self.texts])
        return RuntimeError(f"{title} failed on {self.host}:\n{''.join(self.texts)}")


class Died(Exception):
    """Whoever worked on an order has ended without an outcome; the text says how."""


class Workers(Protocol):
    """Machines that take orders."""

    @property
    def chains(self) -> bool:
        """Return whether they take an order before those that it needs are done, and hold it back until then."""
        ...

    def submit(self, order: StageOrder, stage: str, after: Sequence[Any]) -> Any:
        """Hand an order in; return a handle for it.

        Args:
            stage: the name of the stage, which decides what it gets.
            after: handles of the orders that it needs, where `chains`.
        """
        ...

    def ended(self, handles: Sequence[Any], seconds: float) -> list[Any]:
        """Return which have ended, after waiting for some seconds, or less when one ends."""
        ...

    def outcome(self, handle: Any) -> Outcome:
        """Return the outcome of an order that has ended.

        Raises:
            Died: when there is none.
        """
        ...

    def cancel(self, handle: Any) -> None:
        """Take an order back, or stop it."""
        ...

    def check(self, orders: Sequence[StageOrder], runners: Sequence[Runner]) -> None:
        """Refuse machines that could not do the work, or would do another, before any of it is done.

        Args:
            orders: the first of each run.
            runners: planned.

        Raises:
            UserError: one message that names each such machine.
        """
        ...
