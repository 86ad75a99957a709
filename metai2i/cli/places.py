"""Options of `metai2i run` that say where the stages are worked on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar, Unpack

import rich_click as click

from metai2i.errors import UserError

if TYPE_CHECKING:
    from metai2i.executors.executor import Executor
    from metai2i.executors.resources import Resources
    from metai2i.pipeline.request import RunRequest

_F = TypeVar("_F", bound=Callable[..., object])
LOCAL = "local"
_EXPECTED = "expected local, ray, ray://HOST:PORT, slurm or slurm:local"

_OPTIONS = (
    click.option("--on", "place", metavar="PLACE", default=LOCAL, show_default=True,
                 help="Where the stages are worked on: local, by this process; ray, by workers on this machine or the "
                 "cluster of RAY_ADDRESS; ray://HOST:PORT, on that cluster; slurm, by jobs; slurm:local, by processes "
                 "of this machine in their place."),
    click.option("--cpus", metavar="N", help="CPUs, and threads, of each stage on Ray or Slurm; others by name: "
                 "1,metatrain=4.  [default: OMP_NUM_THREADS, else 1]"),
    click.option("--gpus", metavar="N", help="GPUs of each stage; on Ray also parts of one: 0.5,metatrain=1.  "
                 "[default: 1 on GPUs, else 0]"),
    click.option("--at-once", metavar="N", type=click.IntRange(min=1),
                 help="How many stages are worked on at once, at most.  [default: as there is room]"),
    click.option("--retries", metavar="N", type=click.IntRange(min=0), default=2, show_default=True,
                 help="How often a stage whose worker has died is tried again."),
    click.option("--sbatch", metavar="NAME=VALUE", multiple=True,
                 help="An option of sbatch, such as partition=gpu; may be given several times."),
    click.option("--dry-run", is_flag=True, help="Show the jobs of --on slurm, and queue none."),
)  # fmt: skip


class PlaceOptions(TypedDict):
    """What `place_options` hands to a command."""

    place: str
    cpus: str | None
    gpus: str | None
    at_once: int | None
    retries: int
    sbatch: tuple[str, ...]
    dry_run: bool


def place_options(command: _F) -> _F:
    """Give a command the options that say where stages are worked on."""
    return reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), command)


def is_local(**options: Unpack[PlaceOptions]) -> bool:
    """Return whether this process works on the stages.

    Raises:
        UserError: when something is asked for that only other places have.
    """
    if options["place"] != LOCAL:
        return False
    for name, given in (
        ("--cpus", options["cpus"]), ("--gpus", options["gpus"]), ("--at-once", options["at_once"]),
        ("--sbatch", options["sbatch"]), ("--dry-run", options["dry_run"]),
    ):  # fmt: skip
        if given:
            raise UserError(f"{name} is for stages that others work on", hint="--on ray or --on slurm")
    return True


def executor_of(device: str, stages: Path | None, **options: Unpack[PlaceOptions]) -> Executor:
    """Return who works on the stages.

    Args:
        device: "auto", "cpu" or "cuda".
        stages: the stage store; None for the default.

    Raises:
        UserError: when there is no such place, or an option does not go with it.
    """
    from metai2i.data.places import stages_folder
    from metai2i.executors.on_ray import check_ray, connected
    from metai2i.executors.on_slurm import CLUSTERS, check_slurm, queued
    from metai2i.executors.spread import Spread

    place, retries, at_once = options["place"], options["retries"], options["at_once"]
    engine, _, rest = place.partition(":")
    resources, sbatch = resources_for(device, options["cpus"], options["gpus"]), pairs(options["sbatch"])
    if engine == "ray" and (not rest or rest.startswith("//")):
        if sbatch or options["dry_run"]:
            raise UserError("--sbatch and --dry-run are for --on slurm")
        check_ray()
        return Spread(lambda graph: connected(place if rest else None, resources, graph, at_once),
                      resources, retries, at_once)  # fmt: skip
    if engine != "slurm" or (rest or "slurm") not in CLUSTERS:
        raise UserError(f"--on: got {place!r}, {_EXPECTED}")
    check_slurm(rest or "slurm", resources)
    store = stages_folder(stages, "runs/.stages").absolute()
    return Spread(lambda graph: queued(rest or "slurm", store, resources, sbatch, retries), resources, retries, at_once)


def show_jobs(requests: Sequence[RunRequest], device: str, **options: Unpack[PlaceOptions]) -> None:
    """Print the jobs that Slurm would be given.

    Raises:
        UserError: when another place is asked for, or the recipe is wrong.
    """
    from metai2i.cli import say
    from metai2i.executors.graph import graph_of
    from metai2i.executors.on_slurm import dry_run
    from metai2i.pipeline.request import runner_of

    if options["place"] != "slurm":
        raise UserError("--dry-run is for --on slurm", hint="`metai2i plan` shows what is to be done anywhere")
    resources, sbatch = resources_for(device, options["cpus"], options["gpus"]), pairs(options["sbatch"])
    runners = [runner_of(request) for request in requests]
    for runner in runners:
        runner.plan()
    for line in dry_run(graph_of(runners), resources, sbatch):
        say(line)


def resources_for(device: str, cpus: str | None, gpus: str | None) -> Resources:
    """Return what stages get.

    Args:
        device: "auto", "cpu" or "cuda".
    """
    from metai2i.executors.resources import resources_of
    from metai2i.training.device import choose_device

    return resources_of(cpus, gpus, on_gpu=choose_device(device).type == "cuda")


def pairs(words: Sequence[str]) -> dict[str, str]:
    """Return `NAME=VALUE` by names; dashes in front of a name are left out.

    Raises:
        UserError: for what is none.
    """
    pairs = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name.strip("-") or not equals:
            raise UserError(f"--sbatch: got {word!r}, expected NAME=VALUE, such as partition=gpu")
        pairs[name.strip("-")] = value
    return pairs
