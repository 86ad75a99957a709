"""Between nodes, which know where and how they are written, and problems in plain data."""

from __future__ import annotations

from collections.abc import Iterator

from metai2i.errors import UserError
from metai2i.recipe.overrides import is_typed
from metai2i.recipe.positions import Node
from metai2i.registry.problems import Loc, Problem


def placed(problem: Problem, node: Node) -> UserError:
    """Return a problem as an error at its place.

    Args:
        problem: in the node's plain data.
        node: the data.
    """
    where = node.locate(problem.loc, on_key=problem.on_key)
    return UserError(problem.sentence(), where=where, hint=problem.hint or _in_quotes(problem, node))


def typed_words(node: Node) -> dict[Loc, str]:
    """Return how numbers, `true` and `null` are typed on the command line, by their places below a node.

    In a shell, quotes are hard to get through: `tasks.root=2024` means the folder. In a file they are not, and a number
    in the place of a string is told.
    """
    return dict(_words(node, ()))


def _words(node: Node, loc: Loc) -> Iterator[tuple[Loc, str]]:
    if isinstance(node.value, dict):
        for name, child in node.value.items():
            yield from _words(child, (*loc, name))
    elif isinstance(node.value, list):
        for place, child in enumerate(node.value):
            yield from _words(child, (*loc, place))
    elif node.text and is_typed(node):
        yield loc, node.text


def _in_quotes(problem: Problem, node: Node) -> str | None:
    """Return what to write where a string is expected and a number stands."""
    if not problem.wants_text or problem.on_key:
        return None
    here: Node | None = node
    for part in problem.loc:
        inside = here.value if here is not None else None
        if isinstance(inside, dict):
            here = inside.get(part)
        else:
            here = inside[part] if isinstance(inside, list) and isinstance(part, int) else None
    return f'write "{here.text}"' if here is not None and here.text else None
