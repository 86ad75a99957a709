"""`metai2i paint`: a page on this machine on which label maps are painted, and become images as they are."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from metai2i.cli.common_options import device_option, general_option, plugins_option, weights_option
from metai2i.cli.paths import UserPath

PAINT_PORT = 8765
"""Where the page is, unless `--port` says otherwise."""


@click.command(
    epilog="""\b
Examples:
  metai2i paint runs/quickstart
  metai2i paint my_street.safetensors
  metai2i paint runs/quickstart fewer.safetensors more.safetensors --out models --open
  metai2i paint looks.safetensors --port 0
"""
)
@click.argument("models", type=UserPath(), metavar="MODEL...", nargs=-1, required=True)
@click.option("--port", type=click.IntRange(0, 65535), default=PAINT_PORT, show_default=True,
              help="The page's port on 127.0.0.1; 0 takes one that is free.")  # fmt: skip
@click.option("--open", "opens", is_flag=True, help="Open the page in a browser.")
@click.option("--out", type=UserPath(), metavar="DIR", default=Path(), show_default="this folder",
              help="Where models go that are kept.")  # fmt: skip
@general_option
@device_option
@click.option("--stages", type=UserPath(), metavar="DIR",
              help="The stage store of runs.  [default: METAI2I_STAGES, else .stages beside the run, else "
              "runs/.stages]")  # fmt: skip
@plugins_option
@weights_option
def command(
    models: tuple[Path, ...],
    port: int,
    opens: bool,
    out: Path,
    general: Path | None,
    device: str,
    stages: Path | None,
    plugins_dir: tuple[Path, ...],
    weights: Path | None,
) -> None:
    """Paint label maps in a browser, and see the images that models make of them, side by side.

    A MODEL is a file that `metai2i adapt` wrote, or the folder of a finished run. With a run the page can also adapt:
    drop a few photographs with their label maps, or take a test scene of the run, and see the support before and after,
    step by step; what is good may be kept as a file.

    The page is served to this machine alone, asks for nothing from elsewhere, and ends with Ctrl-C. An image that is
    saved there is the one that `metai2i translate` makes of the map that is saved there, byte for byte.
    """
    from metai2i.cli import say
    from metai2i.cli.run import show_log
    from metai2i.console.stopping import cause_of
    from metai2i.losses.backbone_weights import set_weights_folder
    from metai2i.paint.serving import PaintWish, serve_page

    show_log()
    if weights is not None:
        set_weights_folder(weights)
    wish = PaintWish(models, port, out, general, device, stages, plugins_dir, opens)
    try:
        serve_page(wish, say)
    except KeyboardInterrupt as interruption:  # Ctrl-C is how it ends
        if cause_of(interruption) is not None:
            raise
