"""`metai2i data compose`: sketches of scenes with boxes and classes in, scenes out. `metai2i data edges`: photographs
in, what EdgeGAN adapts to out.
"""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from metai2i import NEW_DOMAIN


@click.command(
    epilog="""\b
Examples:
  metai2i data compose scene.json out --objects edgegan.safetensors --scene pix2pix.safetensors
  metai2i data compose scenes out --objects edgegan.safetensors
  metai2i data compose scenes out --scene pix2pix.safetensors
"""
)
@click.argument("scenes", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--objects", type=click.Path(path_type=Path), metavar="MODEL",
              help="Makes images of the sketches of objects, by their classes (EdgeGAN).  [default: objects have "
              "images]")  # fmt: skip
@click.option("--scene", type=click.Path(path_type=Path), metavar="MODEL",
              help="Paints scenes of objects on white with a sketch of the background (Pix2pix).  [default: that is "
              "left out]")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Write images anew that are in OUT already.")
def compose_command(scenes: Path, out: Path, objects: Path | None, scene: Path | None, overwrite: bool) -> None:
    """Put objects into the boxes of sketched scenes, and paint the scenes.

    SCENES is a list in JSON, or a folder of such lists: {"background": "a.png", "objects": [{"class": "cat",
    "sketch": "cat.png", "box": [left, top, width, height]}]}. Files are named from where the list lies, sketches are
    black on white, boxes are in pixels of the background, or of "size": [width, height] where there is none.

    An object is its sketch, of which the model of --objects makes an image, or has its "image" already. The objects on
    white with the background go to OUT/composites/NAME.png, and what the model of --scene makes of them to
    OUT/NAME.png. Both models are written by `metai2i adapt`.

    All lists are looked over before anything is written.
    """
    from metai2i_sketches.composing import compose_scenes

    for line in compose_scenes(scenes, out, objects, scene, overwrite=overwrite):
        click.echo(line)


@click.command(
    epilog="""\b
Examples:
  metai2i data edges my_foxes fox_support --size 32 32
  metai2i data edges my_cats cat_support --class cat
  metai2i adapt runs/objects --row EdgeGAN --support fox_support --out fox.safetensors
"""
)
@click.argument("photos", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--class", "label", default=NEW_DOMAIN, show_default=True, metavar="NAME",
              help="What the photographs show, by the run's name for it.")  # fmt: skip
@click.option("--size", type=click.IntRange(8, 4096), nargs=2, default=(64, 64), show_default=True, metavar="H W",
              help="The run's size (`tasks.size`), at which edges are made in training as well.")  # fmt: skip
def edges_command(photos: Path, out: Path, label: str, size: tuple[int, int]) -> None:
    """Make edges of the photographs of a class of objects, so that EdgeGAN can adapt to it.

    PHOTOS is a folder of photographs, or one of them. OUT, a folder that is empty or not there, gets target/,
    structure/ and domain.txt, and is what `metai2i adapt --support` takes. Edges are made as for training (XDoG). A
    class that the run has not seen is called "a new domain".
    """
    from metai2i_sketches.edged_photos import write_edged

    click.echo(write_edged(photos, out, label, size))
