"""Deep merging of one piece of a recipe over another."""

from __future__ import annotations

from dataclasses import replace

from metai2i.errors import UserError, UserErrors
from metai2i.recipe.positions import DEEPEST_NESTING, TOO_DEEP, Node


def merge(base: Node, over: Node) -> Node:
    """Lay `over` over `base`: sections are merged key by key, anything else is replaced. Positions stay with values.

    A section that names another component (`use:`) replaces the whole section: the options of the old one mean
    nothing to the new one.
    """
    if not (base.is_mapping and over.is_mapping) or _changes_component(base, over):
        return over
    both = {name: merge(base.value[name], child) if name in base.value else child for name, child in over.value.items()}
    return replace(over, value={**base.value, **both})


def _changes_component(base: Node, over: Node) -> bool:
    old, new = base.get("use"), over.get("use")
    return old is not None and new is not None and old.plain() != new.plain()


def nest(path: list[str], value: Node) -> Node:
    """Put `value` inside the sections that lead to it: `["a", "b"]` gives `{a: {b: value}}`.

    Raises:
        UserErrors: for a path that is longer than anything in a recipe.
    """
    if len(path) > DEEPEST_NESTING:
        raise UserErrors([UserError(TOO_DEEP, where=value.key or value.where)])
    for name in reversed(path):
        value = Node({name: value}, value.key or value.where, value.key or value.where)
    return value
