"""`metai2i data compose`: sketches of scenes with boxes and classes in, scenes out."""

from __future__ import annotations

from pathlib import Path

import rich_click as click


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
