"""What a worker does on its machine: one stage of a recipe, or a look at whether it could work there."""

from __future__ import annotations

import json
import logging
import os
import platform
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import torch

from metai2i import __version__
from metai2i.distributed.processes import failure_of
from metai2i.errors import UserError
from metai2i.executors.executor import Outcome, StageOrder
from metai2i.executors.shared_store import check_store, lock_is_seen
from metai2i.pipeline.request import RunRequest, runner_of
from metai2i.pipeline.runner import Runner
from metai2i.pipeline.stage_store import Stage, find_stage
from metai2i.registry.options import json_default

log = logging.getLogger("metai2i")

PATIENCE = 90.0
"""Seconds until a network disk shows what another machine has written there."""
_KEPT = 4
"""Planned runs that a worker keeps, so that the next stage of one begins at once."""
_planned: dict[RunRequest, Runner] = {}


class View(NamedTuple):
    """What a machine is and plans.

    Args:
        host: its name.
        versions: of Python and metai2i.
        stages: key, name, and what determines it as JSON, of every stage.
        texts: what a user has to put right there.
    """

    host: str
    versions: dict[str, str]
    stages: tuple[tuple[str, str, str], ...] = ()
    texts: tuple[str, ...] = ()


def work_on(order: StageOrder) -> Outcome:
    """Work on a stage; whatever goes wrong is in the outcome."""
    with _logged() as lines:
        try:
            runner = _runner(order)
            assert runner.stage_work is not None
            runner.stage_work.resume = order.resume
            _wait_for_needs(runner, find_stage(runner.stages, order.key))
            runner.work(order.key)
        except Exception as error:
            texts, user = failure_of(error)
            return Outcome(socket.gethostname(), tuple(lines), tuple(texts), user)
    return Outcome(socket.gethostname(), tuple(lines))


def look(order: StageOrder, probe: str) -> View:
    """Return what this machine plans, and what is wrong with it.

    Args:
        order: of any stage.
        probe: a file in the store that is locked meanwhile; empty where nobody holds one.
    """
    versions = {"Python": ".".join(platform.python_version_tuple()[:2]), "metai2i": __version__}
    view = View(socket.gethostname(), versions)
    try:
        _settle(order)
        check_store(order.store, order.identity)
        if probe and not lock_is_seen(order.store / probe):
            return view._replace(
                texts=(f"locks in the stage store ({order.store}) are not seen there: two machines could work on one "
                       "stage",)
            )  # fmt: skip
        stages = _runner(order).stages
    except Exception as error:
        return view._replace(texts=tuple(failure_of(error)[0]))
    return view._replace(stages=tuple(map(described, stages)))


def described(stage: Stage) -> tuple[str, str, str]:
    """Return the key and the name of a stage, and what determines it as JSON."""
    return stage.key, stage.name, json.dumps(stage.determines, sort_keys=True, default=json_default)


def _settle(order: StageOrder) -> None:
    """Take the place of the process that has started the run: its folder, its settings, its threads.

    Raises:
        UserError: when the folder is not there.
    """
    os.environ.update(order.settings)
    torch.set_num_threads(order.threads)
    try:
        os.chdir(order.home)
    except OSError as error:
        raise UserError(
            "this folder, in which the run was started, is not there",
            where=order.home,
            hint="start it in one that every machine sees",
        ) from error


def _runner(order: StageOrder) -> Runner:
    """Return the planned run of an order, which is planned once."""
    _settle(order)
    check_store(order.store, order.identity)
    request = replace(order.request, resume=False, stages=order.store)
    runner = _planned.get(request)
    if runner is None:
        while len(_planned) >= _KEPT:
            _planned.pop(next(iter(_planned)))
        runner = runner_of(request)
        runner.plan()
        _planned[request] = runner
    return runner


def _wait_for_needs(runner: Runner, stage: Stage) -> None:
    """Wait until what a stage needs is seen here, or no longer."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if all((runner.store.folder(needed) / "done.json").exists() for needed in stage.below()):
            return
        os.listdir(runner.store.root)  # which a network disk asks its server for
        time.sleep(1)


@contextmanager
def _logged() -> Iterator[list[tuple[int, str]]]:
    """Keep what the program says within it."""
    lines: list[tuple[int, str]] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append((record.levelno, record.getMessage()))

    keeper, level = Keeper(logging.INFO), log.level
    log.addHandler(keeper)
    log.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        log.removeHandler(keeper)
        log.setLevel(level)
