"""What a run's folder must lie apart from: all that the run reads, and the stages that it leaves."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from metai2i.data.places import expanded, real_path
from metai2i.errors import UserError
from metai2i.recipe.schema import Component, Recipe


@dataclass(frozen=True)
class Apart:
    """A file or folder that must not be in a run's folder.

    Args:
        what: it is, for messages: "the data (tasks.root)".
        path: of it.
        both: whether the run's folder may not lie in it either.
    """

    what: str
    path: Path
    both: bool = False


def needed(recipe: Recipe, out: Path, stages: Path, weights: Path | None) -> list[Apart]:
    """Return what the run of a recipe needs.

    Args:
        out: the run's folder; its own `recipe.yaml` may be run, since the new run's says the same.
        stages: the stage store.
        weights: the folder of feature weights, if one is named.
    """
    things = [Apart("the stage store", stages, both=True)]
    if real_path(recipe.source_path) != real_path(out) / "recipe.yaml":
        things.append(Apart("the recipe", recipe.source_path))
    if weights is not None:
        things.append(Apart("the folder of feature weights", weights))
    places: dict[tuple[str, Path], Apart] = {}
    for row in recipe.rows.values():
        for section in type(row).model_fields:
            part = getattr(row, section)
            if section == "start":
                for name, start in row.start.items():
                    given = {} if start is None else start.model_dump(include={"run", "file"}, exclude_none=True)
                    for key, path in given.items():
                        option = f"start.{name}.{key}"
                        places[option, Path(path)] = Apart(option, Path(path))
                continue
            options = part.options if isinstance(part, Component) else part
            for option, path in _paths(options, section):
                places[option, path] = Apart(option, path)
    return [*things, *places.values()]


def check_apart(out: Path, thing: Apart) -> None:
    """Refuse a run's folder that holds what the run needs.

    Args:
        out: absolute, links followed.

    Raises:
        UserError: saying what it is and where.
    """
    path = real_path(thing.path)
    if is_in(path, out):
        where = "is this folder" if path == out else f"is in this folder ({path})"
        raise UserError(
            f"{thing.what} {where}, which a run would replace", where=out, hint="--out names another folder"
        )
    if thing.both and is_in(out, path):
        raise UserError(f"this folder is in {thing.what} ({path})", where=out, hint="--out names another folder")


def is_in(path: Path, folder: Path) -> bool:
    """Return whether a path is a folder or in it, by whatever name it is reached."""
    if path == folder or folder in path.parents:
        return True
    with suppress(OSError):
        state = folder.stat()
        return any(above.exists() and os.path.samestat(above.stat(), state) for above in (path, *path.parents))
    return False


def _paths(value: object, name: str) -> Iterator[tuple[str, Path]]:
    """Yield the paths in a component's options that are there, and what recipes call them: `tasks.root`."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _paths(inner, f"{name}.{key}")
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _paths(inner, name)
    elif isinstance(value, str | Path) and str(value):
        with suppress(OSError, UserError, ValueError):  # too long, of no user, with a null byte: no path
            path = expanded(value)
            if path.exists() or isinstance(value, Path):
                yield name, path
