"""`metai2i translate`: images of label maps, or of what else a translator paints from, by an adapted model."""

from __future__ import annotations

from pathlib import Path

import rich_click as click
from click.exceptions import Exit

from metai2i.cli.paths import UserPath


@click.command(
    epilog="""\b
Examples:
  metai2i translate my_street.safetensors maps images
  metai2i translate my_street.safetensors maps/0042.png images --overwrite
  metai2i translate my_street.safetensors maps images --batch 1 --device cuda
  metai2i translate person.safetensors maps images --reference me.jpg --reference-map me_map.png
"""
)
@click.argument("model", type=UserPath(), metavar="MODEL")
@click.argument("maps", type=UserPath(), metavar="MAPS")
@click.argument("out", type=UserPath(), metavar="OUT")
@click.option("--reference", type=UserPath(), metavar="FILE",
              help="The photograph that all images are shown as their exemplar.  [default: those of the support, or "
              "the folder reference/ in MAPS]")  # fmt: skip
@click.option("--reference-map", type=UserPath(), metavar="FILE",
              help="The exemplar's label map, for translators that read it.")  # fmt: skip
@click.option("--general", type=UserPath(), metavar="FILE",
              help="The general model, where MODEL is kept apart from it.  [default: where it was when MODEL was "
              "written]")  # fmt: skip
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True,
              help="Where the networks run.")  # fmt: skip
@click.option("--batch", type=click.IntRange(min=1), default=8, show_default=True,
              help="How many images are made at once.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Write images anew that are in OUT already.")
@click.option("--plugins-dir", type=UserPath(), multiple=True,
              help="A folder of one-file plugins; may be given several times.")  # fmt: skip
def command(
    model: Path,
    maps: Path,
    out: Path,
    reference: Path | None,
    reference_map: Path | None,
    general: Path | None,
    device: str,
    batch: int,
    overwrite: bool,
    plugins_dir: tuple[Path, ...],
) -> None:
    """Make an image of every label map in the folder MAPS (or of one file) with MODEL, which `metai2i adapt` wrote.

    The images go to the folder OUT under the names of their maps, with a sheet of all of them (contact.png). Maps
    hold class ids (grey or palette), or the colours of the data (RGB); they are resized and cut as for adapting.
    For a translator that paints from other fields, MAPS has a folder for each, named after it (structure, instances,
    source), with files of the same names; labels are in a text (domain.txt).

    A map that cannot be used is told in the end and does not stop the others. Exit code: 0 when all were made, 1 when
    some could not, 2 when none could.
    """
    import time

    from metai2i.cli import say, tell_error
    from metai2i.console.consoles import console
    from metai2i.console.exits import EXIT_USER_ERROR
    from metai2i.inference.model_file import read_adapted
    from metai2i.inference.trained_run import other_plugin
    from metai2i.inference.translate import Inputs, paint_inputs, shown_exemplar, targets
    from metai2i.registry import Registry
    from metai2i.training.device import choose_device
    from metai2i.training.progress import StageProgress

    began = time.monotonic()
    registry = Registry(plugins_dir)
    adapted = read_adapted(model, registry, choose_device(device), general=general)
    inputs = Inputs(maps, adapted)
    images = targets(inputs.files, out, overwrite=overwrite)
    exemplar = shown_exemplar(adapted, reference, reference_map)
    plugin = registry.identity("translator", adapted.about["translator"]["use"])
    differs = other_plugin(adapted.about["plugin"], plugin, "model")
    if differs:
        console().print(f"{model}: {differs}; images may differ")
    with StageProgress("translate", len(images)) as bar:
        painted = paint_inputs(adapted, inputs, images, batch, bar.advance, exemplar)
    for error in painted.bad:
        tell_error(str(error))
    message = f"{len(painted.images)} images in {out}, {time.monotonic() - began:.1f} s"
    say(message if painted.sheet is None else f"{message}; all of them: {painted.sheet}")
    if painted.bad:
        raise Exit(1 if painted.images else EXIT_USER_ERROR)
