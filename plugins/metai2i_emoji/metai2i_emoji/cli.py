"""`metai2i data emoji-scenes`: draws scenes of emoji with their sketches."""

from __future__ import annotations

from pathlib import Path

import rich_click as click


@click.command(
    epilog="""\b
Examples:
  metai2i data emoji-scenes data/emoji data/emoji_scenes
  metai2i data emoji-scenes data/emoji data/small --train 20 --test 5 --size 64
"""
)
@click.argument("packages", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--train", type=click.IntRange(1, 100_000), default=240, show_default=True, help="Scenes that train.")
@click.option("--test", type=click.IntRange(1, 100_000), default=60, show_default=True, help="Scenes that test.")
@click.option("--size", type=click.IntRange(48, 1024), default=128, show_default=True,
              help="Height and width of a scene, in pixels.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another one gives other scenes.")
def scenes_command(packages: Path, out: Path, train: int, test: int, size: int, seed: int) -> None:
    """Draw scenes for the task source `sketch_scenes`: emoji in landscapes, with sketches of both.

    PACKAGES is the folder of the packages that the task source `emoji` reads, OUT a folder that is empty or not there.
    Each scene is a photograph (NAME.png) with a list (NAME.json) of its objects, with their images, their sketches and
    their boxes, and a sketch of its background. Emoji that test do not train, here and in `emoji_sketches`. Sketches
    are edges in training and OpenMoji's line drawings in tests. The emoji's terms hold for the scenes, too.
    """
    from metai2i_emoji.scenes import Plan, draw_scenes

    for line in draw_scenes(packages, out, Plan(train, test, size, seed)):
        click.echo(line)
