"""`metai2i recipes`: lists the recipes that come with metai2i, and copies them."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from metai2i.cli.completion import bundled
from metai2i.cli.paths import UserPath


@click.command(
    epilog="""\b
Examples:
  metai2i recipes
  metai2i recipes cpu/face_5shot
  metai2i recipes cpu/face_5shot --copy mine
  metai2i run quickstart
"""
)
@click.argument("name", required=False, shell_complete=bundled)
@click.option("--copy", "folder", type=UserPath(file_okay=False), metavar="FOLDER",
              help="Copy NAME, with what it extends, or all recipes, into FOLDER.")  # fmt: skip
def command(name: str | None, folder: Path | None) -> None:
    """List the recipes that come with metai2i, print the one called NAME, or copy them to start from.

    The list has the first sentence of each; NAME prints all that it says of itself. `metai2i run` and `metai2i
    validate` take their names in the place of a file. Nothing is overwritten.
    """
    from metai2i.cli import say
    from metai2i.cli.tables import print_rows
    from metai2i.errors import UserError, did_you_mean
    from metai2i.recipe.bundled import bundled_recipes, copy_recipes

    recipes = {recipe.name: recipe for recipe in bundled_recipes()}
    if name is not None and name not in recipes:
        raise UserError(f"no bundled recipe is called {name!r}", hint=did_you_mean(name, recipes))
    if folder is not None:
        for path in copy_recipes([recipes[name]] if name else list(recipes.values()), folder):
            say(f"wrote {path}")
    elif name is not None:
        say(recipes[name].path.read_text(encoding="utf-8").removesuffix("\n"))
    else:
        print_rows(["recipe", "what it is"], [[recipe.name, recipe.brief] for recipe in recipes.values()])
