"""`metai2i export`: takes a finished run, or an adapted model, to another program."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from metai2i.cli.common_options import plugins_option
from metai2i.cli.completion import exporters
from metai2i.cli.paths import UserPath


@click.command(
    epilog="""\b
Examples:
  metai2i export my_street.safetensors --to onnx
  metai2i export looks.safetensors --to torch --way latent --out looks.pt2
  metai2i export runs/quickstart --to tensorboard
  metai2i export runs/quickstart --to latex --out paper/table.tex --overwrite
  metai2i export runs/quickstart --to wandb project=streets
"""
)
@click.argument("what", type=UserPath(), metavar="WHAT")
@click.argument("options", nargs=-1, metavar="[OPTION=VALUE …]")
@click.option("--to", required=True, metavar="NAME", shell_complete=exporters,
              help="The exporter: onnx and torch take models; tensorboard, mlflow, trackio, wandb, latex, markdown and "
              "figures take runs; plugins may bring others.")  # fmt: skip
@click.option("--out", type=UserPath(), help="The file or folder to write.  [default: beside WHAT, under its name]")
@click.option("--way", metavar="NAME",
              help="In which way the translator is asked, where it has several.  [default: the recipe's, else its "
              "first]")  # fmt: skip
@click.option("--general", type=UserPath(), metavar="FILE",
              help="The general model, where the model is kept apart from it.  [default: where it was]")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
@plugins_option
def command(
    what: Path,
    options: tuple[str, ...],
    to: str,
    out: Path | None,
    way: str | None,
    general: Path | None,
    overwrite: bool,
    plugins_dir: tuple[Path, ...],
) -> None:
    """Take WHAT, the folder of a finished run or the file of an adapted model, to another program.

    A model becomes a file that runs without metai2i; before it is written it is held against torch, and refused
    unless it paints the same images within half a grey level. Where the library that an exporter
    needs is missing, the message has the command that installs it. `metai2i plugins NAME` shows an exporter's options.
    """
    from metai2i.cli import say
    from metai2i.cli.check import parsed
    from metai2i.exporting.export import ExportRequest, export
    from metai2i.registry import Registry

    wish = ExportRequest(what, to, out, parsed(options), way, general, overwrite)
    done = export(wish, Registry(plugins_dir))
    if done.place is not None:
        say(f"wrote {done.place}")
    if done.sentence:
        say(done.sentence)
