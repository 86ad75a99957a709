"""`metai2i adapt`: adapts a run's general model to a few pairs."""

from __future__ import annotations

import shlex
from pathlib import Path

import rich_click as click

from metai2i.cli.common_options import device_option, plugins_option, weights_option
from metai2i.cli.completion import rows_of_run
from metai2i.cli.paths import UserPath


@click.command(
    epilog="""\b
Examples:
  metai2i adapt runs/quickstart --support my_street --out my_street.safetensors
  metai2i adapt runs/quickstart --support my_street --out fewer.safetensors --row "Pix2pix (5-shot)" --iterations 5
  metai2i adapt runs/quickstart --support my_street --out alone.safetensors --k 0
  metai2i adapt runs/lora --support my_street --out small.safetensors --general general.safetensors
  metai2i adapt runs/animals --support photographs_of_horses --out horse.safetensors
"""
)
@click.argument("run", type=UserPath(), metavar="RUN")
@click.option("--support", type=UserPath(), required=True, metavar="DIR",
              help="The folder with what to adapt to.")  # fmt: skip
@click.option("--out", type=UserPath(), required=True, metavar="MODEL",
              help="The .safetensors file to write.")  # fmt: skip
@click.option("--general", type=UserPath(), metavar="FILE",
              help="Put the general model into this .safetensors file (or leave it there), and into MODEL only what is "
              "the scene's own.")  # fmt: skip
@click.option("--row", metavar="NAME", shell_complete=rows_of_run,
              help="The row to start from.  [default: the last that meta-trains, with a retriever if --k is given, "
              "else without; or else the last that adapts]")  # fmt: skip
@click.option("--iterations", type=click.IntRange(min=0), help="Inner steps.  [default: the row's]")
@click.option("--lr", type=click.FloatRange(min=0, min_open=True),
              help="The inner learning rate.  [default: the row's]")  # fmt: skip
@click.option("--k", type=click.IntRange(min=0),
              help="Fine-tune on so many of the most similar training scenes first, for which the recipe's data must "
              "be there; 0 needs no data.  [default: that of the row's retriever, else 0]")  # fmt: skip
@click.option("--overwrite", is_flag=True,
              help="Replace MODEL even if it is adapted from another run, or to another scene.")  # fmt: skip
@click.option("--seed", type=int, help="Of all draws.  [default: the recipe's]")
@device_option
@click.option("--stages", type=UserPath(), metavar="DIR",
              help="The stage store.  [default: METAI2I_STAGES, else .stages beside RUN, else "
              "runs/.stages]")  # fmt: skip
@plugins_option
@weights_option
def command(
    run: Path,
    support: Path,
    out: Path,
    general: Path | None,
    row: str | None,
    iterations: int | None,
    lr: float | None,
    k: int | None,
    overwrite: bool,
    seed: int | None,
    device: str,
    stages: Path | None,
    plugins_dir: tuple[Path, ...],
    weights: Path | None,
) -> None:
    """Adapt the general model of RUN, the folder of a finished run, to the few pairs in a folder, or to the photographs
    of a new domain.

    Pairs are photographs with their label maps: NAME.jpg with NAME.png, or NAME.jpg (or .png) with NAME_map.png, or
    photos/NAME.jpg (or .png) with maps/NAME.png. Maps hold class ids (grey or palette), or the colours of the run's
    data (RGB). All are resized until they cover the run's size, and cut to the middle. For a translator that reads
    other fields, DIR has a folder for each, named after it (target, structure, instances), and labels in a text
    (domain.txt). For one that learns without pairs, DIR has photographs of the new domain alone.

    What is written is one file with all that `metai2i translate` needs; with --general, two: the general model, which
    scenes share, and what is this scene's own, which is little where the strategy adapts little. A MODEL that was
    adapted from the same run to the same pairs is replaced; any other file is refused.
    """
    from metai2i.cli import say
    from metai2i.cli.run import show_log
    from metai2i.console.consoles import console
    from metai2i.inference.adapt import AdaptRequest, adapt_run
    from metai2i.inference.trained_run import stores_of
    from metai2i.losses.backbone_weights import set_weights_folder
    from metai2i.registry import Registry
    from metai2i.training.device import choose_device

    show_log()
    if weights is not None:
        set_weights_folder(weights)
    wish = AdaptRequest(run, support, out, row, iterations, lr, k, seed, general, overwrite)
    model = adapt_run(wish, Registry(plugins_dir), choose_device(device), stores_of(run, stages), console())
    with_plugins = [word for folder in plugins_dir for word in ("--plugins-dir", str(folder))]
    read = "MAPS" if "structure" in model.translator.needs else "INPUTS"
    say(f"now: {shlex.join(['metai2i', 'translate', str(out), read, 'OUT', *with_plugins])}")
