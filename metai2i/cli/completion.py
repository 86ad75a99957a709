"""Shell completion: what the commands' arguments may be, looked up without importing a plugin.

click asks these functions while somebody types, so they are quick, and silent: where nothing can be looked up, nothing
is proposed.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from shlex import quote
from typing import NoReturn

import click
from click.shell_completion import CompletionItem, shell_complete

VARIABLE = "_METAI2I_COMPLETE"
"""Set by the shell's completion script (`bash_complete`), or to have that script printed (`bash_source`)."""


def complete(group: click.Command) -> NoReturn:
    """Print what the shell asks for, and end the program: click's completion, with nothing else on the screen.

    The exit code is 1 where that fails, without a word: it would be written into the line that somebody types.
    """
    try:
        code = shell_complete(group, {}, "metai2i", VARIABLE, os.environ[VARIABLE])
    except Exception:
        code = 1
    sys.exit(code)


def recipes_or_files(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Propose the recipes that come with metai2i, or else files."""
    return bundled(context, parameter, incomplete) or [CompletionItem(incomplete, type="file")]


def bundled(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Propose the recipes that come with metai2i."""
    from metai2i.recipe.bundled import bundled_recipes

    return starting([recipe.name for recipe in bundled_recipes()], incomplete)


def components(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Propose the names of installed components, and of the files in each `--plugins-dir` that was typed before."""
    from metai2i.registry.discovery import core_plugins, files_of_plugins, installed_plugins

    names = [name for plugin in (*core_plugins(), *installed_plugins()) for name in plugin.names]
    folders = [Path(folder) for folder in context.params.get("plugins_dir") or ()]
    names += [path.stem for folder in folders for path in files_of_plugins(folder)]
    return starting(sorted(set(names)), incomplete)


def exporters(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Propose the names of the core's exporters."""
    from metai2i.registry.discovery import CORE_EXPORTERS

    return starting(sorted(CORE_EXPORTERS), incomplete)


def rows_of_recipe(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Propose the rows of the recipe that was typed before."""
    from metai2i.errors import UserError
    from metai2i.recipe.bundled import recipe_path

    try:
        return rows(recipe_path(typed(context, "recipe")), incomplete)
    except UserError:  # no file and no bundled recipe has that name
        return []


def rows_of_run(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Propose the rows of the run whose folder was typed before."""
    return rows(Path(typed(context, "run")) / "recipe.yaml", incomplete)


def typed(context: click.Context, name: str) -> str:
    """Return the command's first argument.

    Behind an option that has no value yet, click has it among the words that are left over.
    """
    return str(context.params.get(name) or next(iter(context.args), ""))


def rows(recipe: Path, incomplete: str) -> list[CompletionItem]:
    """Propose the rows of a recipe; none where it cannot be read."""
    from metai2i.errors import UserError, UserErrors
    from metai2i.recipe.load import row_names

    try:
        return starting(row_names(recipe), incomplete)
    except (UserError, UserErrors, OSError):
        return []


def starting(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Return the names that go on where the word stops, as the shell wants them to be written."""
    return [CompletionItem(name) for name in as_typed([name for name in names if name.startswith(incomplete)])]


def as_typed(names: Sequence[str]) -> list[str]:
    """Return names as they are typed in bash: all in quotes when one of them has to be, unless quotes are open already.

    They then go on with one beginning, on which bash relies. Other shells put in quotes themselves.
    """
    bash = os.environ.get(VARIABLE, "").startswith("bash")
    if not bash or in_quotes(os.environ.get("COMP_WORDS", "")) or all(quote(name) == name for name in names):
        return list(names)
    return [f"'{name}'" if quote(name) == name else quote(name) for name in names]


def in_quotes(words: str) -> bool:
    """Return whether a command line ends inside quotes."""
    opened = ""
    for letter in re.sub(r"\\.", "", words):
        if opened:
            opened = "" if letter == opened else opened
        elif letter in "'\"":
            opened = letter
    return bool(opened)
