"""Overrides of a recipe from the command line: `a.b=c`."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from dataclasses import replace

import yaml

from metai2i.errors import Location, UserError, UserErrors, did_you_mean
from metai2i.recipe.merge import merge, nest
from metai2i.recipe.positions import Node, parse_yaml
from metai2i.recipe.renamed import OldKey, with_new_keys
from metai2i.recipe.scalars import resolve_scalar
from metai2i.recipe.selection import matching

COMMAND_LINE = "command line"
_NAME = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^.="']*))\s*""")
"""One name of a path; quotes go around one that has a dot or an equals sign in it."""
STRUCTURED = tuple("\"'[{")
"""How a value begins that is read as YAML; all others are words, which are what they look like."""

QUOTED = """a string that begins with a quote goes into quotes as a whole: '"a", b'"""


def is_override(argument: str) -> bool:
    """Return whether a command-line argument is an override rather than the path of a recipe."""
    return "=" in argument and not os.path.exists(argument)  # which says no to what is too long for a path


def parse_overrides(overrides: Sequence[str], old_keys: list[OldKey] | None = None) -> list[Node]:
    """Return the overrides as pieces of a recipe, each to be merged over the recipe and those before it.

    What stands behind `=` is a number, true, false, null or a word as in YAML 1.2, or a list, a section or a quoted
    string if it begins as one: `tasks.root=/data/run #1` needs no quotes but the shell's. In the path, a name that has
    dots is put in quotes.

    Args:
        overrides: as they were typed.
        old_keys: takes in the keys that have names of before, which are read as those of now.

    Raises:
        UserErrors: for everything that is not of the form `a.b=c`.
    """
    pieces: list[Node] = []
    errors: list[UserError] = []
    for override in overrides:
        try:
            pieces.append(with_new_keys(_parse(override), [] if old_keys is None else old_keys))
        except UserErrors as refusal:
            errors += refusal.errors
    if errors:
        raise UserErrors(errors)
    return pieces


def parse_settings(settings: Sequence[str]) -> dict[str, object]:
    """Return what `NAME=VALUE` on the command line says of options, by their names; values are read as in overrides.

    Raises:
        UserError: for what is not of that form.
    """
    values: dict[str, object] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        where = Location(f"{COMMAND_LINE}: {setting}")
        if not equals or not name.strip():
            raise UserError("expected NAME=VALUE", where=where)
        values[name.strip()] = _value(text.strip(), where).plain()
    return values


def merged(pieces: Sequence[Node]) -> Node | None:
    """Return the overrides as one piece; None when there are none.

    They are merged among themselves first, so that `a.use=x a.y=1` and `a.y=1 a.use=x` are the same. `strategy.use=bil`
    alone drops the options of the recipe's own strategy.
    """
    tree: Node | None = None
    for piece in pieces:
        tree = piece if tree is None else merge(tree, piece)
    return tree


def is_typed(node: Node) -> bool:
    """Return whether a value stands on the command line."""
    return node.where.file.startswith(COMMAND_LINE)


def spread_over_rows(piece: Node, rows: Collection[str], written: Collection[str]) -> Node:
    """Return an override of `rows.PATTERN.a.b` as one of each row that the pattern fits; any other override as it is.

    Args:
        piece: the override.
        rows: the names of all rows.
        written: those that are written in the recipe, of which a grid may have made several.

    Raises:
        UserErrors: for every pattern that fits no row.
    """
    section = piece.get("rows")
    if section is None or not section.is_mapping:
        return piece
    reached: dict[str, Node] = {}
    errors: list[UserError] = []
    for pattern, value in section.value.items():
        exact = [pattern] if pattern in (*rows, *written) else []
        names = exact or matching(pattern, rows) or matching(pattern, written)
        if not names:
            hint = did_you_mean(pattern, {*rows, *written})
            errors.append(UserError(f"no row is called {pattern!r}", where=value.key, hint=hint))
        reached |= {name: merge(reached[name], value) if name in reached else value for name in names}
    if errors:
        raise UserErrors(errors)
    return replace(piece, value={**piece.value, "rows": replace(section, value=reached)})


def _parse(override: str) -> Node:
    where = Location(f"{COMMAND_LINE}: {override}")
    names, text = _split(override)
    if not all(names):
        hint = 'a name with dots goes into quotes: rows."1.5 times".adapt.lr=1e-3' if override.count('"') else None
        raise UserErrors([UserError("expected an override of the form a.b=c", where=where, hint=hint)])
    if names == ["extends"]:
        raise UserErrors([UserError("extends can only be written in a recipe", where=where)])
    try:
        override.encode()
    except UnicodeEncodeError:
        raise UserErrors([UserError("this is not text in UTF-8, in which recipes are kept", where=where)]) from None
    try:
        value = _value(text.strip(), where)
    except UserErrors as refusal:
        hint = QUOTED if text.strip()[:1] in tuple("\"'") and "not YAML" in str(refusal) else None
        errors = [UserError(error.what, where=where, hint=error.hint or hint) for error in refusal.errors]
        raise UserErrors(errors) from None
    return nest(names, value.moved(where))


def _split(override: str) -> tuple[list[str], str]:
    """Return the names before the equals sign, and what stands behind it; an empty name where it is not of
    that form.
    """
    names, place = [], 0
    while True:
        name = _NAME.match(override, place)
        assert name is not None
        names.append(next((part for part in name.groups() if part is not None), "").strip())
        place = name.end()
        if override[place : place + 1] != ".":
            break
        place += 1
    if override[place : place + 1] != "=":
        return [""], ""
    return names, override[place + 1 :]


def _value(text: str, where: Location) -> Node:
    """Return what stands behind the equals sign."""
    if text.startswith(STRUCTURED):
        node = parse_yaml(text, where.file)
        *_, last, _ = yaml.scan(text)
        if last.end_mark.index < len(text):
            raise UserErrors(
                [
                    UserError(
                        f"got more text after the value {text[: last.end_mark.index]}, expected its end", where=where
                    )
                ]
            )
        return node
    try:
        value = resolve_scalar(text)
    except ValueError as error:
        raise UserErrors([UserError(str(error), where=where)]) from None
    return Node(value, where, text=None if isinstance(value, str) else text)
