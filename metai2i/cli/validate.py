"""`metai2i validate`: checks recipes without running them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click
from click.exceptions import Exit

from metai2i.cli.common_options import plugins_option
from metai2i.cli.completion import recipes_or_files

if TYPE_CHECKING:
    from metai2i.recipe import Recipe


@click.command(
    epilog="""\b
Examples:
  metai2i validate quickstart
  metai2i validate recipes/smoke/*.yaml
  metai2i validate my.yaml adapt.iterations=50 --plugins-dir my_plugins
"""
)
@click.argument("recipes", nargs=-1, required=True, metavar="RECIPE… [a.b=c …]", shell_complete=recipes_or_files)
@plugins_option
def command(recipes: tuple[str, ...], plugins_dir: tuple[Path, ...]) -> None:
    """Check each RECIPE against the plugins that it names.

    All errors are told at once, each with file, line and column. No data is read and nothing is trained, so what
    only data and networks tell, such as the players' names, is checked by `metai2i plan` and `metai2i run`. Keys can be
    set as for `metai2i run`: adapt.iterations=50; it is told how many rows that changes.
    """
    from metai2i.cli import tell_error
    from metai2i.cli.overrides import tell_overrides
    from metai2i.console.exits import EXIT_USER_ERROR
    from metai2i.errors import UserError, UserErrors
    from metai2i.recipe import load_recipe
    from metai2i.recipe.bundled import recipe_path
    from metai2i.recipe.overrides import is_override
    from metai2i.registry import Registry

    paths = [recipe_path(argument) for argument in recipes if not is_override(argument)]
    overrides = [argument for argument in recipes if is_override(argument)]
    if not paths:
        raise UserError("got overrides only, expected a recipe", hint="metai2i validate recipes/quickstart.yaml")
    bad = 0
    for path in paths:
        try:
            # A registry each: the plugins of one recipe are not those of the next.
            recipe = load_recipe(path, overrides, Registry(plugins_dir))
            _show(recipe)
            tell_overrides(recipe)
        except UserErrors as errors:
            bad += 1
            for error in errors.errors:
                tell_error(str(error))
    if bad:
        raise Exit(EXIT_USER_ERROR)


def _show(recipe: Recipe) -> None:
    """Print the rows of a recipe that is all right."""
    from metai2i.cli.tables import print_rows
    from metai2i.console.consoles import stdout_console

    stdout_console().print(f"{recipe.source_path}: ok")
    print_rows(
        ["row", "strategy", "retriever", "translator", "tasks"],
        [
            [
                name,
                row.strategy.use,
                row.retriever.use if row.retriever else "-",
                row.translator.use,
                row.tasks.use,
            ]
            for name, row in recipe.rows.items()
        ],
    )
