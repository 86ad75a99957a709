"""Hands a graph of stages to workers: each stage when those that it needs are done, again when its worker has died."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from metai2i.errors import GOES_ON, UserError
from metai2i.executors.executor import Died, Outcome, StageOrder, Workers
from metai2i.executors.graph import Job

log = logging.getLogger("metai2i")

LOOK_EVERY = 0.5
"""Seconds after which is looked for what has ended, and for how far the others are."""


@dataclass
class Dispatch:
    """Works through a graph.

    Args:
        graph: jobs by their keys, each behind those that it needs.
        workers: where they are worked on.
        order: makes the order of a job; is told whether it has been begun before.
        retries: how often a job whose worker has died is tried again.
        at_once: how many orders are handed in at once, at most; None for any number.
        watch: is called with the jobs that are handed in now, and with those that are done.
    """

    graph: Mapping[str, Job]
    workers: Workers
    order: Callable[[Job, bool], StageOrder]
    retries: int
    at_once: int | None = None
    watch: Callable[[Iterable[Job], set[str]], object] = lambda running, done: None
    done: set[str] = field(default_factory=set, init=False)
    failed: dict[str, Exception] = field(default_factory=dict, init=False)
    _handles: dict[str, Any] = field(default_factory=dict, init=False)
    _deaths: Counter[str] = field(default_factory=Counter, init=False)

    def work(self) -> Mapping[str, Exception]:
        """Work through the graph; return what has failed, and what could not be begun for that, by keys."""
        try:
            while len(self.done) + len(self.failed) < len(self.graph):
                self._hand_in()
                self.watch([self.graph[key] for key in self._handles], self.done)
                handles = list(self._handles.values())
                for handle in self.workers.ended(handles, LOOK_EVERY):
                    key = next((key for key, each in self._handles.items() if each is handle), None)
                    if key is not None:  # it may have been cancelled meanwhile
                        self._take(key)
            self.watch([], self.done)
        finally:
            for handle in self._handles.values():
                self.workers.cancel(handle)
        return self.failed

    def _hand_in(self) -> None:
        """Hand in what can be worked on now, the most urgent first."""
        ready = [job for job in self.graph.values() if self._is_ready(job)]
        for job in sorted(ready, key=lambda job: -job.urgency):
            if self.at_once is not None and len(self._handles) >= self.at_once:
                return
            self._submit(job)

    def _submit(self, job: Job) -> None:
        """Hand a job in; before it, where workers hold orders back, those that it needs."""
        for needed in job.needs:
            if needed not in self.done and needed not in self._handles:
                self._submit(self.graph[needed])
        if job.key not in self._handles:
            after = [self._handles[needed] for needed in job.needs if needed not in self.done]
            order = self.order(job, self._deaths[job.key] > 0)
            self._handles[job.key] = self.workers.submit(order, job.stage, after)

    def _is_ready(self, job: Job) -> bool:
        """Return whether a job is to be handed in."""
        if job.key in self.done or job.key in self.failed or job.key in self._handles:
            return False
        return self.workers.chains or all(needed in self.done for needed in job.needs)

    def _take(self, key: str) -> None:
        """Take in the outcome of a job that has ended."""
        job = self.graph[key]
        handle = self._handles.pop(key)
        try:
            outcome = self.workers.outcome(handle)
        except Died as death:
            self._died(job, death)
            return
        tell(outcome)
        error = outcome.error(job.title)
        if error is None:
            self.done.add(key)
        else:
            self._fail(job, error)

    def _died(self, job: Job, death: Died) -> None:
        """Try a job again whose worker has died, or give it up."""
        self._deaths[job.key] += 1
        tries = self._deaths[job.key]
        if tries > self.retries:
            times = "" if tries == 1 else f" {tries} times"
            what = f"{job.title} ({job.key}): its worker has died{times}: {death}"
            self._fail(job, UserError(what, hint=f"was there memory enough? {GOES_ON}; --retries tries oftener"))
            return
        log.warning(
            "%s (%s): its worker has died (%s); it is tried again (%d of %d)",
            job.title, job.key, death, tries, self.retries,
        )  # fmt: skip
        self._recall(job)

    def _fail(self, job: Job, error: Exception) -> None:
        """Give a job up, and all that wait for it."""
        log.warning("%s (%s) has failed; what does not need it goes on", job.title, job.key)
        self._recall(job)
        self.failed[job.key] = error
        for later in self._behind(job):
            self.failed.setdefault(later.key, error)

    def _recall(self, job: Job) -> None:
        """Take back what was handed in behind a job that has not been done."""
        for later in self._behind(job):
            if later.key in self._handles:
                self.workers.cancel(self._handles.pop(later.key))

    def _behind(self, job: Job) -> list[Job]:
        """Return the jobs that wait for one."""
        waiting = {job.key}
        for each in self.graph.values():
            if not waiting.isdisjoint(each.needs):
                waiting.add(each.key)
        return [each for each in self.graph.values() if each.key in waiting and each is not job]


def tell(outcome: Outcome) -> None:
    """Say what was said where the order was worked on; the warnings of a stage are told when its run is written."""
    for level, text in outcome.log:
        if level < logging.WARNING:
            log.log(level, "%s: %s", outcome.host, text)
