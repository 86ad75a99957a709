"""From a file to a checked `Recipe`; everything that is wrong in it is told at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from metai2i.data.places import real_path
from metai2i.errors import UserError, UserErrors, did_you_mean
from metai2i.recipe.begun import check_begun, start_places
from metai2i.recipe.extends import read_recipe
from metai2i.recipe.figures import check_figures
from metai2i.recipe.grid import grid_rows, multiplied
from metai2i.recipe.groups import check_groups
from metai2i.recipe.key_places import key_places
from metai2i.recipe.merge import merge
from metai2i.recipe.named import naming_paths
from metai2i.recipe.overrides import COMMAND_LINE, is_typed, merged, parse_overrides, spread_over_rows
from metai2i.recipe.places import path_of
from metai2i.recipe.positions import Node
from metai2i.recipe.reach import of_rows, reach
from metai2i.recipe.renamed import OldKey, deprecations
from metai2i.recipe.resolve import resolve
from metai2i.recipe.rows import RowChecker
from metai2i.recipe.schema import LONGEST_RECIPE_NAME, Compare, Evaluate, Header, Recipe, Row
from metai2i.recipe.telling import placed, typed_words
from metai2i.registry import Registry
from metai2i.registry.problems import explain, known_names, validated

SECTIONS = tuple(Row.model_fields)
_SHARED = tuple(name for name in SECTIONS if name != "baseline")
"""The sections that can stand in the recipe, for all rows."""
TOP = (*Header.model_fields, *_SHARED, "rows", "grid", "extends")


def load_recipe(
    path: Path | str, overrides: Sequence[str] = (), registry: Registry | None = None, *, foreign: bool = False
) -> Recipe:
    """Return the recipe in a file, checked against the plugins that it names. Reads no data and builds no network.

    In this order: what the recipe `extends` is merged under it, overrides over it; `grid` spells out its rows; and
    every row is merged over the recipe's own sections, so that an override of a shared section does not reach a row
    that has its own value: `Recipe.overrides` says which rows each one reaches.

    Args:
        path: the recipe.
        overrides: `a.b=c` from the command line.
        registry: where components are found; takes in the recipe's `plugins` folder.
        foreign: whether the recipe may be somebody else's, as that of a run's folder: its `plugins`, which are code,
            are then left alone, and it may not extend another file.

    Raises:
        UserErrors: everything that is wrong, each with file, line and column.
    """
    path = Path(path)
    registry = registry or Registry()
    old_keys: list[OldKey] = []
    tree = read_recipe(path, alone=foreign, old_keys=old_keys)
    pieces = parse_overrides(overrides, old_keys)
    errors: list[UserError] = []
    merged = overridden(tree, pieces, path, errors)
    row_nodes = _row_nodes(merged, errors)
    errors += [
        UserError(f"unknown key {key!r}", where=child.key, hint=_said_elsewhere(key) or did_you_mean(key, TOP))
        for key, child in merged.value.items()
        if key not in TOP
    ]
    folder = _plugins(merged.get("plugins"), registry, errors) if not foreign else None
    header = _header(merged, path, errors)
    full_nodes = full_rows(merged, row_nodes or {header.name if header else path.stem: replace(merged, value={})})
    seed = header.seed if header else 0
    checker = RowChecker(registry, seed)
    rows = checker.check(full_nodes, merged.only(*_SHARED))
    errors += checker.errors
    _check_names(merged, full_nodes, errors)
    metric = _main_metric(merged, full_nodes, errors)
    errors += check_begun(full_nodes, rows, foreign=foreign)
    errors += check_groups(merged, header.compare.best if header else {}, full_nodes, rows)
    errors += check_figures(merged, (header.figures if header else None) or {}, full_nodes, rows)
    if errors or header is None or metric is None:
        raise UserErrors(_in_order(errors))
    compare = header.compare.model_copy(update={"metric": metric})
    parts = {name: getattr(header, name) for name in Header.model_fields} | {"plugins": folder, "compare": compare}

    def without(n: int) -> Mapping[str, Row]:
        """Return the rows as they are without one of the overrides; none where they are wrong then."""
        others = overridden(tree, pieces[:n] + pieces[n + 1 :], path, [])
        named = _row_nodes(others, []) or {header.name: replace(others, value={})}
        return RowChecker(registry, seed).check(full_rows(others, named), others.only(*_SHARED))

    messages = tuple(
        reach(overrides[n], piece, full_nodes, rows, without(n), checker.unused)
        for n, piece in enumerate(pieces)
        if of_rows(piece)
    )
    return Recipe(
        **parts, rows=rows, source_path=path, resolved=resolve(parts, rows), overrides=messages,
        notes=deprecations(old_keys), start_places=start_places(full_nodes, rows),
        key_places=key_places(full_nodes, rows),
    )  # fmt: skip


def row_names(path: Path) -> list[str]:
    """Return the names of a recipe's rows, those of its grid included, without checking anything else of it.

    Raises:
        UserError: when the file cannot be read.
    """
    return list(_row_nodes(read_recipe(path), []))


def overridden(tree: Node, pieces: Sequence[Node], path: Path, errors: list[UserError]) -> Node:
    """Return the recipe with all overrides merged over it; patterns of rows stand for the rows that they fit."""
    shared = merged([piece for piece in pieces if piece.get("rows") is None])
    named = tree if shared is None else merge(tree, shared)
    written = _written(named.get("rows"), [])
    rows = _row_nodes(named, []) or [_name(named, path)]
    spelled: list[Node] = []
    for piece in pieces:
        try:
            spelled.append(spread_over_rows(piece, rows, written))
        except UserErrors as refusal:
            errors += refusal.errors
    over = merged(spelled)
    return tree if over is None else merge(tree, over)


def full_rows(tree: Node, rows: Mapping[str, Node]) -> dict[str, Node]:
    """Return each row merged over the recipe's own sections."""
    base = tree.only(*_SHARED)
    return {name: merge(base, node) for name, node in rows.items()}


def _row_nodes(tree: Node, errors: list[UserError]) -> dict[str, Node]:
    """Return the rows as written, then those of the grid; a row that is in both is merged over the grid's."""
    grid, written = tree.get("grid"), _written(tree.get("rows"), errors)
    spelled, gone = _spelled(grid, written, errors)
    written = {name: node for name, node in written.items() if name not in gone}
    rows = {name: merge(spelled[name], node) if name in spelled else node for name, node in written.items()}
    rows |= {name: node for name, node in spelled.items() if name not in rows}
    if gone:
        rows = {name: rows[name] for name in dict.fromkeys([*spelled, *rows])}
    return rows


def _written(rows: Node | None, errors: list[UserError]) -> dict[str, Node]:
    if rows is None:
        return {}
    if not rows.is_mapping or not rows.value:
        got = "got a list, " if isinstance(rows.value, list) else ""
        what = f"rows: {got}expected at least one row by its name"
        errors.append(UserError(what, where=rows.key, hint="rows: {NAME: {}}"))
        return {}
    nodes: dict[str, Node] = {}
    for name, node in rows.value.items():
        if node.value is None:  # `NAME:` alone: the recipe's own sections as they are
            nodes[name] = replace(node, value={})
        elif not node.is_mapping:
            errors.append(UserError(f"rows.{name}: expected sections such as `strategy:`", where=node.where))
            continue
        else:
            nodes[name] = node
        if not name.strip() or not name.isprintable():
            errors.append(UserError(f"rows: {name!r} is no name for a row", where=node.key))
        for key, child in nodes[name].value.items():
            if key not in SECTIONS:
                hint = did_you_mean(key, SECTIONS) if key not in TOP else "it is said once, for all rows"
                errors.append(UserError(f"rows.{name}: unknown key {key!r}", where=child.key, hint=hint))
    return nodes


def _spelled(
    grid: Node | None, written: Mapping[str, Node], errors: list[UserError]
) -> tuple[dict[str, Node], Collection[str]]:
    """Return the rows of the grid, and which of those that are written they take the place of."""
    if grid is None:
        return {}, ()
    try:
        rows, gone = grid_rows(grid, written), multiplied(grid, written)
    except UserErrors as refusal:
        errors += refusal.errors
        return {}, ()
    wrong: list[UserError] = []
    nodes = _written(Node(rows, grid.where, grid.key), wrong)
    known = {error.where for error in errors}  # of a row that is spelled out at many points each thing is told once
    errors += {error.where: error for error in wrong if error.where not in known}.values()
    return nodes, gone


def _plugins(node: Node | None, registry: Registry, errors: list[UserError]) -> str | None:
    """Return the absolute folder of one-file plugins; it is relative to the file that names it."""
    if node is None or not isinstance(node.value, str):
        return None  # a wrong type is told with the header
    home = Path() if is_typed(node) else Path(node.where.file).parent
    try:
        folder = real_path(path_of("plugins", node, home))
        str(folder).encode()
        registry.add_folder(folder)
    except UnicodeEncodeError:
        errors.append(UserError("plugins: the path of this folder is not text in UTF-8", where=node.where))
        return None
    except UserErrors as refusal:
        errors += refusal.errors
        return None
    except UserError as error:
        errors.append(UserError(f"plugins: {error.what}", where=node.where, hint=error.hint))
    return str(folder)


def _header(tree: Node, path: Path, errors: list[UserError]) -> Header | None:
    header = tree.only(*Header.model_fields)
    data = {"name": _name(tree, path), **header.plain()}
    try:
        return validated(Header, data, typed_words(header))
    except ValidationError as error:
        errors += [placed(problem, header) for problem in explain(error, data, known_names(Header))]
        return None


def _name(tree: Node, path: Path) -> str:
    """Return what the recipe is called: as it says, or else as its file is."""
    named = _text_at(tree, "name")
    return named or re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem)[:LONGEST_RECIPE_NAME].strip("-._") or "recipe"


def _check_names(tree: Node, rows: dict[str, Node], errors: list[UserError]) -> None:
    """Refuse names of rows that are not there."""
    baseline = _text_at(tree, "compare", "baseline")
    if baseline is not None and baseline not in rows:
        where = tree.locate(("compare", "baseline"))
        hint = did_you_mean(baseline, rows)
        errors.append(UserError(f"compare.baseline: no row is called {baseline!r}", where=where, hint=hint))
    for name, row in rows.items():
        others = [other for other in rows if other != name]
        for path, oneself in naming_paths(row).items():
            other = _text_at(row, *path)
            if other is not None and other not in others:
                hint = None if other == name else did_you_mean(other, others)
                what = oneself if other == name else f"no row is called {other!r}"
                errors.append(UserError(f"{'.'.join(path)}: {what}", where=row.locate(path), hint=hint))


def _main_metric(tree: Node, rows: dict[str, Node], errors: list[UserError]) -> str | None:
    """Return the metric by which rows are compared: the one that is named, else LPIPS, else the first that all rows are
    measured by; None where it is told what is wrong with it.
    """
    compare = tree.get("compare")
    node = compare.get("metric") if compare else None
    measured = {name: _measured(row) for name, row in rows.items()}
    if (node is not None and not isinstance(node.value, str)) or not all(
        isinstance(each, list) for each in measured.values()
    ):
        return None  # the schema tells
    first, *others = measured.values()
    shared = [metric for metric in first if all(metric in each for each in others)]
    metric = Compare.model_fields["metric"].default if node is None else node.value
    if node is None and metric not in shared and shared:
        metric = shared[0]
    for name, each in measured.items():
        if metric not in each:
            where = node.where if node else rows[name].locate(("evaluate", "metrics"))
            shown = f"{metric!r}" if node else f"{metric!r}, the default,"
            what = f"compare.metric: {shown} is not measured in row {name!r}"
            errors.append(UserError(what, where=where, hint=did_you_mean(metric, map(str, each))))
            return None
    return str(metric)


def _measured(row: Node) -> Any:
    """Return what stands as the metrics of a row."""
    section = row.get("evaluate")
    named = section.get("metrics") if section else None
    return named.plain() if named else list(Evaluate.model_fields["metrics"].default)


def _said_elsewhere(key: str) -> str | None:
    return "it is said in a row, or for all rows as compare.baseline" if key == "baseline" else None


def _text_at(node: Node, *path: str) -> str | None:
    value: Any = node
    for part in path:
        value = value.get(part) if value is not None else None
    return value.value if value is not None and isinstance(value.value, str) else None


def _in_order(errors: Iterable[UserError]) -> list[UserError]:
    """Return each error once, by file (in order of appearance, the command line last), line and column."""
    once = list({str(error): error for error in errors}.values())
    files: dict[str, int] = {}
    for error in once:
        files.setdefault(getattr(error.where, "file", ""), len(files))

    def place(error: UserError) -> tuple[bool, int, int, int]:
        file, line, column = (getattr(error.where, name, None) for name in ("file", "line", "column"))
        return str(file).startswith(COMMAND_LINE), files[file or ""], line or 0, column or 0

    return sorted(once, key=place)
