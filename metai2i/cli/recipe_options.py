"""Options of the commands that plan a recipe, which must plan it alike: `run`, `plan` and `work`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar, Unpack

import rich_click as click

from metai2i.cli.common_options import device_option, plugins_option, weights_option
from metai2i.cli.completion import recipes_or_files, rows_of_recipe
from metai2i.cli.paths import UserPath

if TYPE_CHECKING:
    from metai2i.pipeline.request import RunRequest

_F = TypeVar("_F", bound=Callable[..., object])

_OPTIONS = (
    click.argument("recipe", shell_complete=recipes_or_files),
    click.argument("overrides", nargs=-1, metavar="[a.b=c …]"),
    click.option("--rows", metavar="PATTERN", multiple=True, shell_complete=rows_of_recipe,
                 help="Only the rows of this name (* stands for any text) and those that they are compared with; may "
                 "be given several times.  [default: all]"),
    click.option("--stages", type=UserPath(), help="The stage store.  [default: METAI2I_STAGES, else runs/.stages]"),
    device_option,
    plugins_option,
    weights_option,
)  # fmt: skip


class RecipeOptions(TypedDict):
    """What `recipe_options` hands to a command."""

    recipe: str
    overrides: tuple[str, ...]
    rows: tuple[str, ...]
    stages: Path | None
    device: str
    plugins_dir: tuple[Path, ...]
    weights: Path | None


def recipe_options(command: _F) -> _F:
    """Give a command RECIPE, overrides, and the options that decide how a recipe is planned."""
    return reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), command)


def request_of(*, resume: bool = False, out: Path | None = None, **options: Unpack[RecipeOptions]) -> RunRequest:
    """Return what a command line asks for.

    Args:
        resume: whether to go on with what an interrupted run has left.
        out: the run's folder; None for `runs/NAME`.
    """
    from metai2i.pipeline.request import RunRequest
    from metai2i.recipe.bundled import recipe_path

    return RunRequest(
        command=("metai2i", *sys.argv[1:]),
        recipe=recipe_path(options["recipe"]),
        overrides=options["overrides"],
        rows=options["rows"],
        resume=resume,
        out=out,
        stages=options["stages"],
        device=options["device"],
        plugins_dirs=options["plugins_dir"],
        weights=options["weights"],
    )
