"""`metai2i run`: trains, adapts, scores and reports what a recipe says."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import rich_click as click

from metai2i.cli.paths import UserPath
from metai2i.cli.places import PlaceOptions, executor_of, is_local, place_options, show_jobs
from metai2i.cli.recipe_options import recipe_options, request_of
from metai2i.console.legible import legible
from metai2i.errors import UserError

if TYPE_CHECKING:
    from metai2i.distributed.processes import Processes
    from metai2i.executors.executor import Executor
    from metai2i.pipeline.request import RunRequest
    from metai2i.recipe import Recipe


@click.command(
    epilog="""\b
Examples:
  metai2i run quickstart
  metai2i run recipes/smoke/street_1shot.yaml tasks.root=DIR
  metai2i run recipes/quickstart.yaml adapt.iterations=50 --out runs/more-steps
  metai2i run recipes/cpu/face_5shot.yaml tasks.root=DIR --rows "*PG2*"
  metai2i run my.yaml --plugins-dir my_plugins --device cuda
  metai2i run my.yaml --processes 2
  metai2i run my.yaml --images 50
  metai2i run my.yaml --log tensorboard
  metai2i run my.yaml other.yaml --seeds 0,1,2 --on ray
  metai2i run my.yaml --on slurm --sbatch partition=gpu --sbatch time=8:00:00 --dry-run
""",
)
@recipe_options
@click.option(
    "--resume/--afresh",
    default=True,
    help="Go on where an interrupted run stopped, or start anew what it had begun.  [default: resume]",
)
@click.option("--out", type=UserPath(), help="The run's folder.  [default: runs/NAME]")
@click.option("--processes", metavar="N|auto",
              help="How many processes share the episodes, parts of batches and scenes; auto: one for each GPU or "
              "core, no more than there are episodes in a meta-step or parts in a batch.  [default: 1]")  # fmt: skip
@click.option("--images", metavar="EVERY", type=click.IntRange(min=1),
              help="While training, make images of the same validation scenes every so many steps, for "
              "`metai2i watch` and the report; nothing else changes.  [default: none]")  # fmt: skip
@click.option("--seeds", metavar="N,N…", help="Run the recipe once for each seed, into NAME-seedN.")
@click.option("--log", metavar="NAME",
              help="Follow the training with tensorboard, mlflow, trackio, wandb, or a plugin's tracker.")  # fmt: skip
@place_options
def command(
    resume: bool,
    out: Path | None,
    processes: str | None,
    images: int | None,
    seeds: str | None,
    log: str | None,
    **options: Any,
) -> None:
    """Train, adapt, score and report what RECIPE says, a file or the name of one that comes with metai2i.

    Stages that have been trained before are looked up in the stage store. Keys of the recipe can be set on the
    command line: adapt.iterations=50 tasks.root=DIR. Further recipes may stand among them; --out is then the folder in
    which all runs lie.
    """
    from metai2i.distributed.launch import by_torchrun, joined, started
    from metai2i.distributed.processes import ALONE
    from metai2i.training.device import choose_device

    where = cast(PlaceOptions, {name: options.pop(name) for name in PlaceOptions.__required_keys__})
    device = options["device"]
    requests = [replace(request, log=log, images_every=images) for request in requests_of(resume, out, seeds, options)]
    asked = RunWishes(tuple(requests), seeds is not None)
    if not is_local(**where):
        if processes is not None or by_torchrun():
            raise UserError(f"--on {where['place']}: each stage is worked on by one process",
                            hint="leave --processes and torchrun out")  # fmt: skip
        if images is not None:
            raise UserError(f"--on {where['place']}: workers make no images on the way", hint="leave --images out")
        if where["dry_run"]:
            show_jobs(asked.requests, device, **where)
        else:
            make_runs(asked, ALONE, executor_of(device, options["stages"], **where))
        return
    if by_torchrun():
        if processes is not None:
            raise UserError("--processes: torchrun has started the processes already", hint="leave --processes out")
        with joined(choose_device(device)) as together:
            make_runs(asked, together)
        return
    count = how_many(processes, asked.requests)
    if count == 1:
        make_runs(asked, ALONE)
        return
    with started(count, choose_device(device), make_runs, asked) as together:
        make_runs(asked, together)


@dataclass(frozen=True)
class RunWishes:
    """What a command line asks for, the same in every process of it.

    Args:
        requests: a run each.
        by_seed: whether the runs are called by their seeds.
    """

    requests: tuple[RunRequest, ...]
    by_seed: bool


def requests_of(resume: bool, out: Path | None, seeds: str | None, options: dict[str, Any]) -> list[RunRequest]:
    """Return a request for each recipe and seed.

    Args:
        options: of `recipe_options`, in which further recipes stand among the overrides.

    Raises:
        UserError: when seeds are no whole numbers, or there is no such recipe.
    """
    from metai2i.executors.session import with_seeds
    from metai2i.recipe.overrides import is_override

    words = options.pop("overrides")
    overrides = tuple(word for word in words if is_override(word))
    recipes = [options.pop("recipe"), *map(_further, (word for word in words if not is_override(word)))]
    requests = [request_of(resume=resume, out=out, recipe=recipe, overrides=overrides, **options) for recipe in recipes]
    return with_seeds(requests, seeds_of(seeds))


def _further(word: str) -> str:
    """Return a further recipe.

    Raises:
        UserError: when it is none, and no override either.
    """
    from metai2i.recipe.bundled import bundled_recipes

    if not Path(word).exists() and word not in {recipe.name for recipe in bundled_recipes()}:
        raise UserError(f"{word!r} is no recipe, and no override of the form a.b=c")
    return word


def seeds_of(text: str | None) -> list[int]:
    """Return the seeds of "0,1,2"; none where nothing is given.

    Raises:
        UserError: when they are no whole numbers of 0 or more.
    """
    words = [] if text is None else [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words):
        raise UserError(f"--seeds: got {text!r}, expected whole numbers of 0 or more, such as 0,1,2")
    return [int(word) for word in words]


def make_runs(asked: RunWishes, processes: Processes, executor: Executor | None = None) -> None:
    """Run what is asked for in one of its processes; the first one writes and shows the reports."""
    from metai2i.executors.session import run_together

    if processes.first:
        show_log()
    run_together(asked.requests, executor, processes, _telling(), by_seed=asked.by_seed, show=_show_report)


def _telling() -> Callable[[Recipe], None]:
    """Return what tells of a recipe's notes and overrides, each sentence once for all runs."""
    from metai2i.cli.overrides import tell_overrides

    said: set[str] = set()
    return lambda recipe: tell_overrides(recipe, said)


def _show_report(folder: Path) -> None:
    from metai2i.console.consoles import console
    from metai2i.report import load_run, print_table, summarise_run

    print_table(summarise_run(load_run(folder)))
    console().print(f"report: {folder / 'report.html'}", markup=False)


def how_many(processes: str | None, requests: Sequence[RunRequest]) -> int:
    """Return how many processes `--processes` asks for.

    Raises:
        UserError: when it is neither a number of 1 or more nor "auto".
    """
    if processes == "auto":
        import torch

        from metai2i.pipeline.request import recipe_of
        from metai2i.registry import Registry
        from metai2i.training.device import choose_device

        gpu = choose_device(requests[0].device).type == "cuda"
        recipes = [recipe_of(request, Registry(request.plugins_dirs)) for request in requests]
        rows = [row for recipe in recipes for row in recipe.rows.values()]
        most = torch.cuda.device_count() if gpu else torch.get_num_threads()
        return max(1, min(most, max(max(row.metatrain.tasks, row.pretrain.parts) for row in rows)))
    if processes is None:
        return 1
    if not processes.isdecimal() or int(processes) < 1:
        raise UserError(f"--processes: got {processes!r}, expected a whole number of 1 or more, or auto")
    return int(processes)


class LegibleLines(logging.Formatter):
    """Log lines without control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return legible(super().format(record))


def show_log() -> None:
    """Let the program's own log lines (which layout was found, what was skipped) reach the user."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LegibleLines("%(message)s"))
    log = logging.getLogger("metai2i")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
