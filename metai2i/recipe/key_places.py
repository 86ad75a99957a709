"""Where a row's keys are written, for what is found wrong with their values only when data and plugins are there.

Whoever finds it begins the message with the key, as `tasks.val: there is no domain 'cta'`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from metai2i.errors import Location, UserError, UserErrors
from metai2i.recipe.positions import Node
from metai2i.recipe.schema import Row

_BEGINS_WITH_KEY = re.compile(r"(?:row '[^']*': )?(\w+(?:\.\w+)+)(?![\w.])")


def key_places(nodes: Mapping[str, Node], rows: Mapping[str, Row]) -> dict[str, dict[str, Location]]:
    """Return where values are written, by row and by their keys with dots between them (`pretrain.average.players`).

    Args:
        nodes: the rows as written.
        rows: those that are right.
    """
    return {name: dict(_below("", nodes[name])) for name in rows}


@contextmanager
def told_with_places(places: Mapping[str, Location]) -> Iterator[None]:
    """Tell what is wrong with the value of a key with the place in the recipe; what is said of other things stays."""
    try:
        yield
    except UserErrors as errors:
        raise UserErrors([with_place(error, places) for error in errors.errors]) from errors
    except UserError as error:
        raise with_place(error, places) from error


def with_place(error: UserError, places: Mapping[str, Location]) -> UserError:
    """Return an error that begins with a key with its place, behind which is then said which file it was about; any
    other as it is.
    """
    key = _BEGINS_WITH_KEY.match(error.what)
    place = places.get(key[1]) if key else None
    if place is None or (isinstance(error.where, Location) and error.where.file == place.file):
        return error
    about = "" if error.where is None else f", in {error.where}"
    return UserError(f"{error.what}{about}", where=place, hint=error.hint)


def _below(above: str, node: Node) -> Iterator[tuple[str, Location]]:
    """Yield the keys in a mapping, and those in the mappings in it, with their values' places."""
    for name, child in node.value.items():
        key = f"{above}{name}"
        yield key, child.where
        if child.is_mapping:
            yield from _below(f"{key}.", child)
