"""`metai2i card`: writes the model card of an adapted model."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from metai2i.cli.common_options import plugins_option
from metai2i.cli.paths import UserPath


@click.command(
    epilog="""\b
Examples:
  metai2i card my_street.safetensors
  metai2i card my_street.safetensors --run runs/quickstart --license cc-by-4.0
  metai2i card models/street/my_street.safetensors --overwrite
"""
)
@click.argument("model", type=UserPath(), metavar="MODEL")
@click.option("--run", type=UserPath(), metavar="RUN",
              help="The run that MODEL was adapted from, for data, recipe and metrics.  [default: where it was when "
              "MODEL was written]")  # fmt: skip
@click.option("--license", "license_of", metavar="ID",
              help="The licence that you give the model, as the hub has it: apache-2.0, cc-by-4.0, other.")  # fmt: skip
@click.option("--out", type=UserPath(), metavar="FILE", help="The card.  [default: README.md beside MODEL]")
@click.option("--general", type=UserPath(), metavar="FILE",
              help="The general model, where MODEL is kept apart from it.  [default: where it was]")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace a card that is there.")
@plugins_option
def command(
    model: Path,
    run: Path | None,
    license_of: str | None,
    out: Path | None,
    general: Path | None,
    overwrite: bool,
    plugins_dir: tuple[Path, ...],
) -> None:
    """Write README.md beside MODEL, which `metai2i adapt` wrote: what it is, how to use it, data, recipe and metrics.

    A folder with both is what the Hugging Face hub shows as a model. Metrics are those of the row that MODEL was
    adapted from, with their intervals; without its run the card says that they are not known. MODEL holds the
    photographs that it was adapted to, and the card says so.
    """
    import re

    import torch

    from metai2i.cli import say
    from metai2i.console.consoles import console
    from metai2i.errors import UserError
    from metai2i.exporting.card import CARD, CardContent, card_text, licences_of, run_of
    from metai2i.files import refuse_existing, write_text
    from metai2i.inference.model_file import read_adapted
    from metai2i.registry import Registry

    if license_of is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", license_of):
        hint = "for instance apache-2.0, cc-by-4.0 or other"
        raise UserError(f"--license: got {license_of!r}, expected a name as the hub has it", hint=hint)
    card = out or model.parent / CARD
    if card.is_dir():
        raise UserError("this is a folder, expected a file to write", where=card)
    registry = Registry(plugins_dir)
    adapted = read_adapted(model, registry, torch.device("cpu"), general=general)
    refuse_existing([card], overwrite=overwrite)
    origin = run_of(adapted, run)
    row = str(adapted.about["made"].get("row"))
    write_text(card, card_text(CardContent(model, adapted, origin, license_of, licences_of(origin, row, registry))))
    if origin is None:
        console().print("the run is not here: the card says nothing of data and metrics; --run names its folder")
    say(f"wrote {card}")
