"""Works on the stages of runs on other machines: what Ray and Slurm have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from metai2i.executors.board import Board
from metai2i.executors.dispatch import Dispatch
from metai2i.executors.executor import StageOrder, Workers
from metai2i.executors.graph import Job, graph_of
from metai2i.executors.resources import Resources
from metai2i.executors.shared_store import identity_of
from metai2i.pipeline.request import RunRequest
from metai2i.pipeline.runner import Runner

HANDED_ON = ("METAI2I_WEIGHTS",)
"""Environment variables that decide what is planned; the stage store is told by its path."""


@dataclass(frozen=True)
class Spread:
    """Hands stages to workers.

    Args:
        connect: makes the workers, for as long as they are needed, for a graph.
        resources: what stages get.
        retries: how often a stage whose worker has died is tried again.
        at_once: how many stages are worked on at once, at most; None for any number.
    """

    connect: Callable[[Mapping[str, Job]], AbstractContextManager[Workers]]
    resources: Resources
    retries: int = 2
    at_once: int | None = None

    def work(self, runners: Sequence[Runner], requests: Sequence[RunRequest]) -> Mapping[str, Exception]:
        """Work on all stages that are not done; return what has failed, by the keys of the stages.

        Raises:
            UserError: when no worker can be had, or one could not do the work.
        """
        graph = graph_of(runners)
        torch.set_num_threads(max(int(number) for number in self.resources.cpus.all()))  # as the provenance tells
        if not graph:
            return {}
        identity = identity_of(runners[0].store.root)

        def order(job: Job, begun: bool) -> StageOrder:
            asked = replace(requests[job.run], resume=False, command=(), out=None)
            return StageOrder(
                request=asked,
                key=job.key,
                home=Path.cwd(),
                settings=tuple((name, os.environ[name]) for name in HANDED_ON if name in os.environ),
                threads=self.resources.of(job.stage)[0],
                resume=begun or requests[job.run].resume,
                identity=identity,
                store=runners[job.run].store.root,
            )

        firsts = {job.run: job for job in reversed(graph.values())}
        with self.connect(graph) as workers:
            workers.check([order(job, False) for _, job in sorted(firsts.items())], runners)
            with Board(graph) as board:
                dispatch = Dispatch(graph, workers, order, self.retries, self.at_once, board.update)
                return dispatch.work()
