"""Stages on Ray: a cluster that is there, or workers that are started on this machine for the time of a run."""

from __future__ import annotations

import logging
import os
import platform
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from metai2i import __version__
from metai2i.errors import GOES_ON, UserError
from metai2i.executors.agreement import refuse_others
from metai2i.executors.executor import Died, Outcome, StageOrder
from metai2i.executors.graph import Job
from metai2i.executors.resources import Resources
from metai2i.executors.shared_store import held_probe
from metai2i.executors.worker import View, look, work_on
from metai2i.extras import extra_command
from metai2i.pipeline.runner import Runner

log = logging.getLogger("metai2i")

INSTALL_RAY = extra_command("metai2i", "ray")
LOOK_WITHIN = 600.0
"""Seconds that a machine of the cluster has to plan the recipe, and to have room for that."""
_STORE_BYTES = 10**8
"""Of Ray's own store of objects, which stages do not use."""
_STARTS = 3
"""How often Ray is started on this machine: it gives its processes 30 seconds, and a busy machine takes longer."""
_SHARE = 0.01
"""Of a GPU, for a look at a machine: it is to see one, whoever works there."""


@dataclass(frozen=True)
class OnRay:
    """Workers of a Ray cluster.

    Args:
        resources: what stages get.
    """

    resources: Resources
    chains: bool = False

    def submit(self, order: StageOrder, stage: str, after: Sequence[Any]) -> Any:
        """Hand an order in; return Ray's reference."""
        cpus, gpus = self.resources.of(stage)
        return _task(work_on).options(num_cpus=cpus, num_gpus=gpus, max_retries=0, name=stage).remote(order)

    def ended(self, handles: Sequence[Any], seconds: float) -> list[Any]:
        """Return which have ended, after waiting for some seconds, or less when one ends.

        Raises:
            UserError: when the cluster does not answer any more.
        """
        import ray

        with _cluster_answers():
            ray.wait(list(handles), num_returns=1, timeout=seconds)
            ready, _ = ray.wait(list(handles), num_returns=len(handles), timeout=0)
        return [handle for handle in handles if handle in ready]

    def outcome(self, handle: Any) -> Outcome:
        """Return the outcome of an order that has ended.

        Raises:
            Died: when its worker has ended without one.
        """
        import ray
        from ray import exceptions

        deaths = (
            exceptions.WorkerCrashedError, exceptions.OutOfMemoryError, exceptions.NodeDiedError,
            exceptions.LocalRayletDiedError, exceptions.ObjectLostError, exceptions.TaskUnschedulableError,
        )  # fmt: skip
        try:
            with _cluster_answers():
                outcome: Outcome = ray.get(handle)
                return outcome
        except deaths as error:
            raise Died(_in_short(error)) from error
        except exceptions.RayError as error:
            return Outcome("a worker of Ray", texts=(str(error),), user=False)

    def cancel(self, handle: Any) -> None:
        """Stop the worker of an order."""
        import ray

        with suppress(Exception):  # it may have ended, and the cluster with it
            ray.cancel(handle, force=True)

    def check(self, orders: Sequence[StageOrder], runners: Sequence[Runner]) -> None:
        """Refuse a cluster that has no room for a stage, or a machine that could not do the work as this one would.

        Args:
            orders: one for each run.
            runners: planned.

        Raises:
            UserError: one message that names each such machine.
        """
        nodes = fitting_nodes(_nodes(), self.resources)
        versions = {"Python": ".".join(platform.python_version_tuple()[:2]), "metai2i": __version__}
        seen = set()
        with held_probe(orders[0].store) as probe:
            for order in orders:
                runner = next(each for each in runners if order.key in {stage.key for stage in each.stages})
                if order.request.recipe not in seen:  # other seeds of it need nothing else
                    refuse_others([self._look(node, order, probe) for node in nodes], versions, runner.stages)
                seen.add(order.request.recipe)

    def _look(self, node: Mapping[str, Any], order: StageOrder, probe: str) -> View:
        """Return what a machine of the cluster is and plans."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        name = str(node["NodeManagerHostname"])
        gpus = _SHARE if any(self.resources.gpus.all()) else 0
        place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        task = _task(look).options(num_cpus=0, num_gpus=gpus, max_retries=0, scheduling_strategy=place)
        try:
            view: View = ray.get(task.remote(order, probe), timeout=LOOK_WITHIN)
        except ray.exceptions.GetTimeoutError:
            return View(name, {}, texts=(f"no room for a look at it within {LOOK_WITHIN:.0f} s",))
        except (ray.exceptions.RayError, ImportError) as error:
            return View(name, {"Python": platform.python_version(), "metai2i": "none"}, texts=(_in_short(error),))
        return view


def check_ray() -> None:
    """Refuse to go on without Ray, and settle what it reads when it is imported.

    Raises:
        UserError: with the command that installs it.
    """
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # or `uv run` would make every worker an environment
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the cluster
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise UserError(f"--on ray: Ray is not installed ({error})", hint=INSTALL_RAY) from error


@contextmanager
def connected(
    address: str | None, resources: Resources, graph: Mapping[str, Job], at_once: int | None
) -> Iterator[OnRay]:
    """Connect to a Ray cluster, or start workers on this machine; yield them, and leave or end them afterwards.

    Args:
        address: "ray://HOST:PORT"; None for RAY_ADDRESS, or else workers on this machine. Where this process is
            connected already, that cluster is taken.
        resources: what stages get.
        graph: what is to be worked on.
        at_once: how many stages on this machine; None for as many as it has CPUs and GPUs for.

    Raises:
        UserError: when the cluster does not answer.
    """
    check_ray()
    import ray

    if ray.is_initialized():
        yield OnRay(resources)
        return
    handlers = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        _connect(address or os.environ.get("RAY_ADDRESS") or "local", resources, graph, at_once)
        for each, handler in handlers.items():  # Ray sets some of its own, which do not tell why the program ends
            with suppress(ValueError, TypeError):  # not in the main thread
                signal.signal(each, handler)
        yield OnRay(resources)
    finally:
        with suppress(Exception):
            ray.shutdown()


def _connect(address: str, resources: Resources, graph: Mapping[str, Job], at_once: int | None) -> None:
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        cpus = max(cpus for cpus, _ in resources.all())
        workers = min(len(graph), at_once or max(1, _cpus() // cpus))
        options |= {
            "num_cpus": cpus * workers, "include_dashboard": False, "object_store_memory": _STORE_BYTES,
        }  # fmt: skip
    for attempt in range(_STARTS, 0, -1):
        try:
            ray.init(address, **options)
            return
        except Exception as error:  # of many kinds
            with suppress(Exception):
                ray.shutdown()
            if address == "local" and attempt > 1:
                log.info("Ray has not started (%s); once more", _in_short(error))
                continue
            what = (
                "Ray does not start"
                if address == "local"
                else (f"{address} does not answer, or has another version of Ray or Python")
            )
            hint = f"Ray {ray.__version__} is here; where the cluster asks for a token, RAY_AUTH_MODE=token shows yours"
            raise UserError(
                f"--on ray: {what}: {_in_short(error)}",
                hint="is the machine busy, or out of memory?" if address == "local" else hint,
            ) from error


def fitting_nodes(nodes: Sequence[Mapping[str, Any]], resources: Resources) -> list[Mapping[str, Any]]:
    """Return the machines of a cluster on which some stage has room.

    Args:
        nodes: as `ray.nodes()` lists them.

    Raises:
        UserError: when a stage has room on none.
    """
    alive = [node for node in nodes if node["Alive"]]

    def has_room(node: Mapping[str, Any], cpus: int, gpus: float) -> bool:
        has = node["Resources"]
        return bool(has.get("CPU", 0) >= cpus and has.get("GPU", 0) >= gpus)

    for cpus, gpus in sorted(resources.all()):
        if not any(has_room(node, cpus, gpus) for node in alive):
            there = ", ".join(
                f"{node['NodeManagerHostname']} ({node['Resources'].get('CPU', 0):g} CPUs, "
                f"{node['Resources'].get('GPU', 0):g} GPUs)"
                for node in alive
            )
            what = f"--on ray: a stage gets {cpus} CPUs and {gpus:g} GPUs, and no machine of the cluster has as many"
            raise UserError(f"{what}: {there or 'it has none'}", hint="--cpus and --gpus say what a stage gets")
    return [node for node in alive if any(has_room(node, *each) for each in resources.all())]


@cache
def _task(function: Callable[..., Any]) -> Any:
    """Return a function for Ray, which is to be handed each of them once."""
    import ray

    return ray.remote(function)


def _nodes() -> list[Mapping[str, Any]]:
    import ray

    return list(ray.nodes())


def _cpus() -> int:
    """Return the CPUs that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux has it
        return os.cpu_count() or 1


@contextmanager
def _cluster_answers() -> Iterator[None]:
    """Turn the loss of the cluster into a message.

    Raises:
        UserError: when it is lost.
    """
    from ray.exceptions import RaySystemError

    try:
        yield
    except (ConnectionError, RaySystemError) as error:
        raise UserError(f"the Ray cluster does not answer any more: {_in_short(error)}", hint=GOES_ON) from error


def _in_short(error: BaseException) -> str:
    """Return the first line of what Ray says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
