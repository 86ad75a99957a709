"""Overrides of a recipe from the command line: `a.b=c`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from metai2i.errors import Location, UserError, UserErrors
from metai2i.recipe.merge import merge, nest
from metai2i.recipe.positions import Node, parse_yaml

COMMAND_LINE = "command line"


def is_override(argument: str) -> bool:
    """Whether a command-line argument is an override rather than the path of a recipe."""
    return "=" in argument and not Path(argument).exists()


def parse_overrides(overrides: Sequence[str]) -> Node | None:
    """The overrides as one piece of a recipe, to be merged over the recipe; None when there are none.

    What stands behind `=` is YAML. `strategy.use=bil` alone drops the options of the recipe's own strategy;
    `rows.NAME.adapt.iterations=5` overrides one row, if its name has no dots.

    Raises:
        UserErrors: for everything that is not of the form `a.b=c`.
    """
    tree: Node | None = None
    errors: list[UserError] = []
    for override in overrides:
        try:
            node = _parse(override)
        except UserErrors as found:
            errors += found.errors
        else:
            # They are merged among themselves first, so that `a.use=x a.y=1` and `a.y=1 a.use=x` are the same.
            tree = node if tree is None else merge(tree, node)
    if errors:
        raise UserErrors(errors)
    return tree


def _parse(override: str) -> Node:
    where = Location(f"{COMMAND_LINE}: {override}")
    path, equals, text = override.partition("=")
    parts = [part.strip() for part in path.split(".")]
    if not equals or not all(parts):
        raise UserErrors([UserError("expected an override of the form a.b=c", where=where)])
    if parts == ["extends"]:
        raise UserErrors([UserError("extends can only be written in a recipe", where=where)])
    try:
        value = parse_yaml(text, where.file)
    except UserErrors as found:
        raise UserErrors([UserError(error.what, where=where, hint=error.hint) for error in found.errors]) from None
    return nest(parts, value.moved(where))
