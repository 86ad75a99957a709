"""`metai2i run`: trains, adapts, scores and reports what a recipe says."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import rich_click as click
from rich.console import Console


@click.command(
    epilog="""\b
Examples:
  metai2i run recipes/quickstart.yaml
  metai2i run recipes/smoke/street_1shot.yaml tasks.root=DIR --resume
  metai2i run recipes/quickstart.yaml adapt.iterations=50 --out runs/more-steps
  metai2i run my.yaml --plugins-dir my_plugins --device cuda
""",
)
@click.argument("recipe", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[a.b=c …]")
@click.option(
    "--resume", is_flag=True, help="Go on where an interrupted run stopped; starts anew where there is nothing."
)
@click.option("--out", type=click.Path(path_type=Path), help="The run's folder.  [default: runs/NAME]")
@click.option("--stages", type=click.Path(path_type=Path),
              help="The stage store.  [default: METAI2I_STAGES, else runs/.stages]")  # fmt: skip
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True,
              help="Where the networks run.")  # fmt: skip
@click.option("--plugins-dir", type=click.Path(path_type=Path), multiple=True,
              help="A folder of one-file plugins; may be given several times.")  # fmt: skip
@click.option("--weights", type=click.Path(path_type=Path),
              help="A folder with the feature weights of LPIPS.  [default: METAI2I_WEIGHTS]")  # fmt: skip
def command(
    recipe: Path,
    overrides: tuple[str, ...],
    resume: bool,
    out: Path | None,
    stages: Path | None,
    device: str,
    plugins_dir: tuple[Path, ...],
    weights: Path | None,
) -> None:
    """Train, adapt, score and report what RECIPE says.

    Stages that have been trained before are looked up in the stage store. Keys of the recipe can be set on the
    command line: adapt.iterations=50 tasks.root=DIR.
    """
    from metai2i.device import choose_device
    from metai2i.progress import console
    from metai2i.recipe import load_recipe
    from metai2i.registry import Registry
    from metai2i.report import build_report, load_run, print_table, summarise_run
    from metai2i.runner import Runner
    from metai2i.store import StageStore
    from metai2i.weights import set_weights_folder

    show_log()
    if weights is not None:
        set_weights_folder(weights)
    registry = Registry(plugins_dir)
    checked = load_recipe(recipe, overrides, registry)
    store = StageStore(stages or Path(os.environ.get("METAI2I_STAGES") or "runs/.stages"))
    folder = out or Path("runs") / checked.name
    runner = Runner(checked, registry, folder, store, choose_device(device), resume)
    runner.run(["metai2i", *sys.argv[1:]])
    report = build_report(folder)
    print_table(summarise_run(load_run(folder)), Console())
    console().print(f"report: {report}")


def show_log() -> None:
    """Lets the program's own log lines (which layout was found, what was skipped) reach the user."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("metai2i")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
