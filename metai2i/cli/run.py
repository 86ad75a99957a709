"""`metai2i run`: trains, adapts, scores and reports what a recipe says."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import rich_click as click

from metai2i.cli.paths import UserPath
from metai2i.cli.recipe_options import RecipeOptions, recipe_options, request_of
from metai2i.console.legible import legible
from metai2i.errors import UserError

if TYPE_CHECKING:
    from metai2i.distributed.processes import Processes
    from metai2i.pipeline.request import RunRequest


@click.command(
    epilog="""\b
Examples:
  metai2i run quickstart
  metai2i run recipes/smoke/street_1shot.yaml tasks.root=DIR --resume
  metai2i run recipes/quickstart.yaml adapt.iterations=50 --out runs/more-steps
  metai2i run recipes/cpu/face_5shot.yaml tasks.root=DIR --rows "*PG2*"
  metai2i run my.yaml --plugins-dir my_plugins --device cuda
  metai2i run my.yaml --processes 2
  metai2i run my.yaml --images 50
""",
)
@recipe_options
@click.option(
    "--resume", is_flag=True, help="Go on where an interrupted run stopped; starts anew where there is nothing."
)
@click.option("--out", type=UserPath(), help="The run's folder.  [default: runs/NAME]")
@click.option("--processes", metavar="N|auto",
              help="How many processes share the episodes, parts of batches and scenes; auto: one for each GPU or "
              "core, no more than there are episodes in a meta-step or parts in a batch.  [default: 1]")  # fmt: skip
@click.option("--images", metavar="EVERY", type=click.IntRange(min=1),
              help="While training, make images of the same validation scenes every so many steps, for "
              "`metai2i watch` and the report; nothing else changes.  [default: none]")  # fmt: skip
def command(
    resume: bool, out: Path | None, processes: str | None, images: int | None, **options: Unpack[RecipeOptions]
) -> None:
    """Train, adapt, score and report what RECIPE says, a file or the name of one that comes with metai2i.

    Stages that have been trained before are looked up in the stage store. Keys of the recipe can be set on the
    command line: adapt.iterations=50 tasks.root=DIR.
    """
    from metai2i.distributed.launch import by_torchrun, joined, started
    from metai2i.distributed.processes import ALONE
    from metai2i.training.device import choose_device

    request, device = request_of(resume=resume, out=out, images_every=images, **options), options["device"]
    if by_torchrun():
        if processes is not None:
            raise UserError("--processes: torchrun has started the processes already", hint="leave --processes out")
        with joined(choose_device(device)) as together:
            work_on(request, together)
        return
    count = how_many(processes, request)
    if count == 1:
        work_on(request, ALONE)
        return
    with started(count, choose_device(device), work_on, request) as together:
        work_on(request, together)


def work_on(request: RunRequest, processes: Processes) -> None:
    """Run the recipe in one of the run's processes; the first one writes and shows the report."""
    from metai2i.cli.overrides import tell_overrides
    from metai2i.console.consoles import console
    from metai2i.pipeline.request import run_recipe
    from metai2i.report import load_run, print_table, summarise_run

    if processes.first:
        show_log()
    folder = run_recipe(request, processes, tell_overrides)
    if processes.first:
        print_table(summarise_run(load_run(folder)))
        console().print(f"report: {folder / 'report.html'}", markup=False)


def how_many(processes: str | None, request: RunRequest) -> int:
    """Return how many processes `--processes` asks for.

    Raises:
        UserError: when it is neither a number of 1 or more nor "auto".
    """
    if processes == "auto":
        import torch

        from metai2i.pipeline.request import recipe_of
        from metai2i.registry import Registry
        from metai2i.training.device import choose_device

        gpu = choose_device(request.device).type == "cuda"
        rows = recipe_of(request, Registry(request.plugins_dirs)).rows.values()
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
