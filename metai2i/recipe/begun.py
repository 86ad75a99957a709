"""`start` of a row as it is written: its paths, and what it names, which must be there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from metai2i.errors import Location, UserError, UserErrors
from metai2i.recipe.named import begun_from
from metai2i.recipe.overrides import is_typed
from metai2i.recipe.places import path_of, with_seed
from metai2i.recipe.positions import Node
from metai2i.recipe.schema import Row, Start


def start_names(section: Any) -> dict[tuple[str | int, ...], list[str]]:
    """Return the keys that may stand in each part of a section `start`, by its place in a row."""
    parts = section if isinstance(section, Mapping) else {}
    return {("start", part): list(Start.model_fields) for part in parts}


def with_paths(row: Node, checked: Row, seed: int) -> dict[str, Start]:
    """Return the parts of a row that begin with other weights, with absolute paths in which the seed stands for
    `{seed}`; those that are null are gone.

    Args:
        row: as it is written, for what a relative path starts at.
        checked: the row.
        seed: the recipe's.
    """
    parts: dict[str, Start] = {}
    for name, start in checked.start.items():
        if start is None:
            continue
        changed = {}
        for key in ("run", "file"):
            value = getattr(start, key)
            if value is not None:
                node = _node(row, name, key)
                home = Path() if is_typed(node) else Path(node.where.file).parent
                try:
                    changed[key] = str(with_seed(path_of(f"start.{name}.{key}", node, home).absolute(), seed))
                except UserErrors:
                    changed[key] = value  # `check_begun` tells
        parts[name] = start.model_copy(update=changed)
    return parts


def _node(row: Node, part: str, key: str) -> Node:
    node: Node | None = row
    for name in ("start", part, key):
        node = node.get(name) if node is not None else None
    assert node is not None
    return (
        node if isinstance(node.value, str) else Node(node.text, node.where, node.key)
    )  # a number, taken as it is typed


def start_places(nodes: Mapping[str, Node], rows: Mapping[str, Row]) -> dict[str, dict[str, Location]]:
    """Return where the parts that begin with other weights are named, by row and part."""
    return {
        name: {part: nodes[name].locate(("start", part), on_key=True) for part in row.start}
        for name, row in rows.items()
        if row.start
    }


def check_begun(nodes: Mapping[str, Node], rows: Mapping[str, Row], *, foreign: bool) -> Iterator[UserError]:
    """Yield what is wrong with what rows begin with: files and runs that are not there, and rows that begin with each
    other.

    Args:
        nodes: the rows as written, for the places.
        rows: those that are right.
        foreign: whether the recipe is that of a run, whose weights are kept in its stages: no file is looked for.
    """
    for name, row in rows.items():
        for part, start in row.start.items():
            if start is not None and not foreign:
                yield from _missing(nodes[name], part, start)
    yield from _circles(nodes, rows)


def _missing(node: Node, part: str, start: Start) -> Iterator[UserError]:
    from metai2i.pipeline.starts import check_run_row, provenance_of

    for key in ("run", "file"):
        if getattr(start, key) is not None:
            written = _node(node, part, key)
            try:
                path_of(f"start.{part}.{key}", written, Path())
            except UserErrors as refusal:
                yield from refusal.errors
                return
    if start.file is not None and not Path(start.file).is_file():
        where = node.locate(("start", part, "file"))
        what = "this is a folder, expected a file of tensors" if Path(start.file).is_dir() else "there is no such file"
        yield UserError(f"start.{part}.file: {what}: {start.file}", where=where, hint=_beside(Path(start.file)))
    if start.run is not None:
        key = "run"
        try:
            provenance = provenance_of(Path(start.run))
            key = "row"
            check_run_row(provenance, Path(start.run), str(start.row))
        except UserError as error:
            where = node.locate(("start", part, key))
            what = f"start.{part}.{key}: {UserError(error.what, where=error.where)}"
            yield UserError(what, where=where, hint=error.hint)


def _beside(file: Path) -> str | None:
    """Return the file with the nearest name, or what is to be done, as a hint."""
    from metai2i.errors import did_you_mean

    try:
        names = [path.name for path in file.parent.iterdir() if path.is_file()]
    except OSError:
        return "its folder is not there either; a relative path starts at the recipe"
    near = did_you_mean(file.name, names)
    return near if near and near.startswith("did") else "a relative path starts at the recipe"


def _circles(nodes: Mapping[str, Node], rows: Mapping[str, Row]) -> Iterator[UserError]:
    """Yield an error for each row that is to begin, over others, with its own weights."""
    for name, row in rows.items():
        for part, other in begun_from(row).items():
            behind, waiting = set[str](), [other]
            while waiting:
                each = waiting.pop()
                if each in rows and each not in behind:
                    behind.add(each)
                    waiting += begun_from(rows[each]).values()
            if name in behind and other != name:  # which is told of itself already
                where = nodes[name].locate(("start", part, "row"))
                what = f"start.{part}.row: row {other!r} begins with weights of {name!r}, so neither can be first"
                yield UserError(what, where=where, hint="let one of them begin with a file, or with another run")
