"""Stages as jobs of Slurm, by submitit: all are queued at once, each behind those that it needs.

`local` in the place of Slurm starts them as processes of this machine, one stage behind the other as well.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from metai2i.errors import UserError
from metai2i.executors.executor import Died, Outcome, StageOrder
from metai2i.executors.graph import Job
from metai2i.executors.resources import Resources
from metai2i.executors.worker import work_on
from metai2i.extras import extra_command
from metai2i.guards.faults import EndedOutside
from metai2i.pipeline.runner import Runner

INSTALL_SLURM = extra_command("metai2i", "slurm")
FOLDER = ".submitit"
"""In the stage store: what jobs are told, what they say, and their logs."""
CLUSTERS = ("slurm", "local")
HOURS = 24
"""How long a job may take unless --sbatch says so."""


class StageJob:
    """What a job does; one that Slurm stops at its time limit, or for another, goes on when it is queued again."""

    def __call__(self, order: StageOrder) -> Outcome:
        """Work on a stage; one that Slurm itself starts again, after a node has failed, goes on."""
        if int(os.environ.get("SLURM_RESTART_COUNT") or 0):
            order = replace(order, resume=True)
        try:
            with _ends_by_signals():
                return work_on(order)
        except EndedOutside as stopped:
            raise stopped.end from None

    def checkpoint(self, order: StageOrder) -> Any:
        """Return what is queued again: the same, which goes on where it was."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(StageJob(), replace(order, resume=True))


@contextmanager
def _ends_by_signals() -> Iterator[None]:
    """Let a signal of Slurm end a stage wherever it is: what submitit raises then would pass for a plugin's."""

    def ending(handler: Callable[[int, FrameType | None], object]) -> Callable[[int, FrameType | None], None]:
        def handle(number: int, frame: FrameType | None) -> None:
            try:
                handler(number, frame)
            except (SystemExit, Exception) as end:
                raise EndedOutside(end) from end

        return handle

    numbers = (signal.SIGUSR1, signal.SIGUSR2)
    handlers = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}
    try:
        for number, handler in handlers.items():
            signal.signal(number, ending(handler))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@dataclass
class OnSlurm:
    """Jobs of Slurm, or processes of this machine in their place.

    Args:
        executor: submitit's.
        resources: what stages get.
        slurm: whether it is Slurm, which holds jobs back until those that they need are done.
        sbatch: further options of `sbatch`, by name.
    """

    executor: Any
    resources: Resources
    slurm: bool
    sbatch: Mapping[str, str] = field(default_factory=dict)

    @property
    def chains(self) -> bool:
        """Return whether orders are held back until those that they need are done."""
        return self.slurm

    def check(self, orders: Sequence[StageOrder], runners: Sequence[Runner]) -> None:
        """Leave it to the jobs: each looks whether it sees the same store and plans the same stages before it works."""

    def submit(self, order: StageOrder, stage: str, after: Sequence[Any]) -> Any:
        """Queue an order; return submitit's job."""
        self.executor.update_parameters(**self.parameters(order, stage, [job.job_id for job in after]))
        try:
            return self.executor.submit(StageJob(), order)
        except Exception as error:
            raise UserError(
                f"--on slurm: a job cannot be queued: {error}", hint="--sbatch NAME=VALUE sets its options"
            ) from error

    def parameters(self, order: StageOrder, stage: str, after: Sequence[str]) -> dict[str, Any]:
        """Return what submitit is told of a job.

        Args:
            after: the numbers of the jobs that it needs.
        """
        cpus, gpus = self.resources.of(stage)
        options: dict[str, Any] = {**self.sbatch}
        minutes = minutes_of(str(options.pop("time", f"{HOURS}:00:00")))
        if not self.slurm:
            return {"timeout_min": minutes, **_own_gpus()}
        if after:
            options |= {"dependency": f"afterok:{':'.join(after)}", "kill-on-invalid-dep": "yes"}
        if gpus:
            options.setdefault("gpus", int(gpus))
        known = {"name": f"metai2i-{stage}-{order.key[:8]}", "cpus_per_task": cpus, "timeout_min": minutes}
        # A step started by srun is what Slurm sends its signals to; it takes no CPUs over by itself.
        return {**known, "slurm_additional_parameters": options, "slurm_srun_args": [f"--cpus-per-task={cpus}"]}

    def ended(self, handles: Sequence[Any], seconds: float) -> list[Any]:
        """Return which have ended, after waiting for some seconds."""
        time.sleep(seconds)
        return [job for job in handles if job.done()]  # Slurm is asked more and more seldom, everybody shares it

    def outcome(self, handle: Any) -> Outcome:
        """Return the outcome of a job that has ended.

        Raises:
            Died: when there is none, with what Slurm says of it.
        """
        from submitit.core.utils import FailedJobError, UncompletedJobError

        try:
            outcome: Outcome = handle.result()
        except UncompletedJobError as error:
            raise Died(f"job {handle.job_id} ended as {handle.state}") from error
        except FailedJobError as error:
            return Outcome(f"job {handle.job_id}", texts=(str(error),), user=False)
        return outcome

    def cancel(self, handle: Any) -> None:
        """Stop a job, or take it out of the queue."""
        with suppress(Exception):
            handle.cancel()


def check_slurm(cluster: str, resources: Resources) -> None:
    """Refuse to go on without submitit, without Slurm, or with what Slurm does not give.

    Args:
        cluster: "slurm", or "local" for processes of this machine.
        resources: what stages get.

    Raises:
        UserError: saying which.
    """
    try:
        import submitit  # noqa: F401
    except ImportError as error:
        raise UserError(f"--on slurm: submitit is not installed ({error})", hint=INSTALL_SLURM) from error
    if cluster == "slurm" and any(shutil.which(name) is None for name in ("sbatch", "srun", "sacct", "scancel")):
        what = "--on slurm: there is no Slurm here: its commands are sbatch, srun, sacct and scancel"
        raise UserError(what, hint="run it where jobs are queued; --on slurm:local starts processes of this machine")
    if any(gpus != int(gpus) for _, gpus in resources.all()):
        raise UserError("--gpus: Slurm gives whole GPUs to jobs", hint="--on ray shares one among stages")


@contextmanager
def queued(
    cluster: str, store: Path, resources: Resources, sbatch: Mapping[str, str], retries: int
) -> Iterator[OnSlurm]:
    """Yield what queues jobs.

    Args:
        cluster: "slurm", or "local" for processes of this machine.
        store: the stage store, which every machine sees.
        resources: what stages get.
        sbatch: further options of `sbatch`.
        retries: how often a job that Slurm stops at its time limit is queued again.

    Raises:
        UserError: as `check_slurm`.
    """
    check_slurm(cluster, resources)
    import submitit

    folder = store / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    limits = {"slurm_max_num_timeout": retries} if cluster == "slurm" else {}
    executor: Any = submitit.AutoExecutor(folder / "%j", cluster=cluster, **limits)
    yield OnSlurm(executor, resources, cluster == "slurm", sbatch)


def dry_run(graph: Mapping[str, Job], resources: Resources, sbatch: Mapping[str, str]) -> Iterator[str]:
    """Yield what would be queued, job after job: its options, and after which others it starts."""
    numbers = {key: f"JOB{number}" for number, key in enumerate(graph, 1)}
    for key, job in graph.items():
        cpus, gpus = resources.of(job.stage)
        options = {"cpus-per-task": cpus, "time": f"{HOURS}:00:00", **({"gpus": int(gpus)} if gpus else {}), **sbatch}
        if job.needs:
            options["dependency"] = "afterok:" + ":".join(numbers[needed] for needed in job.needs)
        words = " ".join(f"--{name}={value}" for name, value in options.items())
        yield f"{numbers[key]}  sbatch {words}  # {job.title} {key}"


def _own_gpus() -> dict[str, Any]:
    """Return what submitit is told for processes of this machine to see its GPUs, all of which they share.

    Raises:
        UserError: when they are not called by numbers.
    """
    count = torch.cuda.device_count()
    seen = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
    if not count:
        return {}
    if not all(each.strip().isdecimal() for each in seen.split(",")):
        what = f"--on slurm:local: CUDA_VISIBLE_DEVICES is {seen!r}, expected numbers"
        raise UserError(what, hint="nvidia-smi lists the number of each GPU")
    return {"gpus_per_node": count, "local_visible_gpus": tuple(map(int, seen.split(",")))}


def minutes_of(time_limit: str) -> int:
    """Return a time limit of Slurm in minutes: "90", "90:00", "4:00:00", "1-12", "1-12:30".

    Raises:
        UserError: when it is none.
    """
    match = re.fullmatch(r"(?:(\d+)-(\d+)(?::(\d+))?(?::(\d+))?)|(?:(?:(\d+):)?(\d+):(\d+))|(\d+)", time_limit)
    if match is None:
        what = f"--sbatch time: got {time_limit!r}, expected minutes, HOURS:MINUTES:SECONDS or DAYS-HOURS"
        raise UserError(what)
    days, hours, minutes, seconds, long_hours, long_minutes, long_seconds, whole = (
        int(each or 0) for each in match.groups()
    )
    total = (days * 24 + hours + long_hours) * 3600 + (minutes + long_minutes + whole) * 60 + seconds + long_seconds
    return max(1, -(-total // 60))
