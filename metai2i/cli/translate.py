"""`metai2i translate`: images of label maps, or of what else a translator paints from, by an adapted model."""

from __future__ import annotations

from pathlib import Path

import rich_click as click
from click.exceptions import Exit

from metai2i.cli.common_options import device_option, general_option, plugins_option
from metai2i.cli.paths import UserPath
from metai2i.errors import counted


@click.command(
    epilog="""\b
Examples:
  metai2i translate my_street.safetensors maps images
  metai2i translate my_street.safetensors maps/0042.png images --overwrite
  metai2i translate my_street.safetensors maps images --batch 1 --device cuda
  metai2i translate person.safetensors maps images --reference me.jpg --reference-map me_map.png
  metai2i translate looks.safetensors photos images --way latent --domain winter --samples 5
  metai2i translate looks.safetensors photos images --way exemplar --reference snow.jpg --domain winter
  metai2i translate looks.safetensors photos images --way exemplar --reference snows --domain winter --grid
  metai2i translate lines.safetensors photos images --set intensity=0.5
"""
)
@click.argument("model", type=UserPath(), metavar="MODEL")
@click.argument("maps", type=UserPath(), metavar="MAPS")
@click.argument("out", type=UserPath(), metavar="OUT")
@click.option("--way", metavar="NAME",
              help="In which way the translator is asked, where it has several.  [default: the recipe's, else its "
              "first]")  # fmt: skip
@click.option("--samples", type=click.IntRange(min=1, max=1000), default=1, show_default=True,
              help="How many images of each map, NAME_0.png and so on, by a translator that draws.")  # fmt: skip
@click.option("--set", "settings", metavar="NAME=VALUE", multiple=True,
              help="Set an option of the translator that matters for images alone, such as intensity=0.5; may be given "
              "several times.  [default: the recipe's]")  # fmt: skip
@click.option("--reference", type=UserPath(), metavar="FILE",
              help="The photograph that all images are shown as their exemplar; with --grid also a folder of them.  "
              "[default: those of the support, or the folder reference/ in MAPS]")  # fmt: skip
@click.option("--reference-map", type=UserPath(), metavar="FILE",
              help="The exemplar's label map, for translators that read it.")  # fmt: skip
@click.option("--domain", metavar="NAME",
              help="The domain to translate into, by its name or its number.  [default: that of the "
              "support, where it is of one]")  # fmt: skip
@click.option("--grid", is_flag=True,
              help="Write grid.png as well: the first maps with each exemplar.")  # fmt: skip
@general_option
@device_option
@click.option("--batch", type=click.IntRange(min=1), default=8, show_default=True,
              help="How many images are made at once.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Write images anew that are in OUT already.")
@plugins_option
def command(
    model: Path,
    maps: Path,
    out: Path,
    way: str | None,
    samples: int,
    settings: tuple[str, ...],
    reference: Path | None,
    reference_map: Path | None,
    domain: str | None,
    grid: bool,
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
    source), with files of the same names; labels are in a text (domain.txt). Where labels are all that it reads, each
    line NAME,LABEL of the text makes an image.

    A translator that can be asked in several ways (from a latent, from an exemplar) reads in each what the way needs:
    --way names it. What it draws is decided by the map's place and the sample's number, so that the same command gives
    the same images. `metai2i plugins NAME` tells which of a translator's options can be --set.

    A map that cannot be used is told in the end and does not stop the others. Exit code: 0 when all were made, 1 when
    some could not, 2 when none could.
    """
    import time

    from metai2i.cli import say, tell_error
    from metai2i.console.consoles import console
    from metai2i.console.exits import EXIT_USER_ERROR
    from metai2i.inference.exemplars import given_by, wished_way
    from metai2i.inference.model_file import read_adapted
    from metai2i.inference.trained_run import other_plugin
    from metai2i.inference.translate import Inputs, paint_inputs, targets
    from metai2i.recipe.overrides import parse_settings
    from metai2i.registry import Registry
    from metai2i.training.device import choose_device
    from metai2i.training.progress import StageProgress

    began = time.monotonic()
    registry = Registry(plugins_dir)
    painting = parse_settings(settings)
    adapted = read_adapted(model, registry, choose_device(device), general=general, painting=painting)
    given = given_by(adapted, wished_way(adapted, way), reference, reference_map, domain, grid=grid)
    inputs = Inputs(maps, adapted, given.way, given.fields)
    images = targets(inputs.files, out, overwrite=overwrite, samples=samples, grid=grid, read_from=inputs.read_from)
    plugin = registry.identity("translator", adapted.about["translator"]["use"])
    differs = other_plugin(adapted.about["plugin"], plugin, "model")
    if differs:
        console().print(f"{model}: {differs}; images may differ")
    with StageProgress("translate", len(images)) as bar:
        painted = paint_inputs(adapted, inputs, images, batch, bar.advance, given)
    for error in painted.bad:
        tell_error(str(error))
    message = f"{counted(len(painted.images), 'image')} in {out}, {time.monotonic() - began:.1f} s"
    message = message if painted.sheet is None else f"{message}; all of them: {painted.sheet}"
    say(message if painted.grid is None else f"{message}; with each exemplar: {painted.grid}")
    if painted.bad:
        raise Exit(1 if painted.images else EXIT_USER_ERROR)
