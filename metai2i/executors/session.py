"""Several runs at once: all are planned, their stages are worked on somewhere, and each is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from metai2i.distributed.processes import ALONE, Processes
from metai2i.errors import UserError, UserErrors
from metai2i.executors.executor import Executor, Local
from metai2i.exporting.live import followed
from metai2i.pipeline.request import RunRequest, runner_of
from metai2i.pipeline.runner import Runner
from metai2i.recipe import Recipe
from metai2i.report import build_report


def with_seeds(requests: Sequence[RunRequest], seeds: Sequence[int]) -> list[RunRequest]:
    """Return what is asked for once for each seed; as it is where none is given."""
    if not seeds:
        return list(requests)
    return [replace(request, overrides=(*request.overrides, f"seed={seed}")) for request in requests for seed in seeds]


def run_together(
    requests: Sequence[RunRequest],
    executor: Executor | None = None,
    processes: Processes = ALONE,
    tell: Callable[[Recipe], object] | None = None,
    *,
    by_seed: bool = False,
    show: Callable[[Path], object] = lambda folder: None,
) -> list[Path]:
    """Train, adapt, score and report what is asked for; return the folders of the runs.

    Where there are several runs, or seeds are given, the folder of a request is that which the folders of the runs lie
    in: `runs/NAME`, or `runs/NAME-seed1`.

    Args:
        requests: what is asked for.
        executor: who works on the stages; the runs themselves when None.
        processes: who works on it; the first one writes.
        tell: is handed each checked recipe in the first process, before anything is done.
        by_seed: whether the runs are called by their seeds.
        show: is handed each folder in the first process, when it is written.

    Raises:
        UserError: for what a user can put right. What did not need it is done and written.
    """
    executor = Local() if executor is None else executor
    with ExitStack() as stack:
        runners = [runner_of(request, processes, tell) for request in requests]
        if by_seed or len(runners) > 1:
            _name(runners, requests, by_seed=by_seed)
        follow = [followed(runner, request.log, stack) for runner, request in zip(runners, requests, strict=True)]
        for runner, following in zip(runners, follow, strict=True):
            runner.finish = build_report
            runner.begin(stack)
            following.begin()
        failures = executor.work(runners, requests)
        folders: list[Path] = []
        errors: dict[int, Exception] = {}  # one that several stages have failed with is told once
        for runner, request, following in zip(runners, requests, follow, strict=True):
            failed = [failures[stage.key] for stage in runner.stages if stage.key in failures]
            if failed:
                errors |= {id(error): error for error in failed}
                continue
            try:
                runner.work_on_all()
                folders.append(runner.write(request.command))
                following.finish(folders[-1])
            except Exception as error:
                if len(runners) == 1 or processes.count > 1:  # others would wait for a process that goes on alone
                    raise
                errors[id(error)] = error
                continue
            if processes.first:
                show(folders[-1])
    _raise(list(errors.values()))
    return folders


def _name(runners: Sequence[Runner], requests: Sequence[RunRequest], *, by_seed: bool) -> None:
    """Give each run a folder of its own.

    Raises:
        UserError: when two would be called the same.
    """
    names = [f"{runner.recipe.name}-seed{runner.recipe.seed}" if by_seed else runner.recipe.name for runner in runners]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        hint = (
            "--seeds takes each once" if by_seed else "name=OTHER in one of the recipes, or --seeds for several seeds"
        )
        raise UserError(f"two of these runs are called {twice!r}", hint=hint)
    for runner, request, name in zip(runners, requests, names, strict=True):
        runner.out = (request.out or Path("runs")) / name


def _raise(errors: Sequence[Exception]) -> None:
    """Raise what went wrong, if something did: faults of the program alone, else all that a user can put right."""
    for error in errors:
        if not isinstance(error, UserError):
            raise error
    users = [each for error in errors for each in (error.errors if isinstance(error, UserErrors) else [error])]
    if users:
        raise UserErrors([each for each in users if isinstance(each, UserError)])
