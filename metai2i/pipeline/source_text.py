"""What the text of a source says: what it imports, and which files it names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from metai2i.pipeline.source_places import files_below
from metai2i.registry.declared import NAMED_NETWORKS

IMPORTING = ("import_module", "__import__", "walk_packages", "iter_modules")
"""Functions that import, or tell what there is to import."""
PLACES = frozenset(["__file__", "__path__", "__spec__", "resources", "get_data", "getfile"])
"""By what a source asks where it lies."""
STATEMENTS = (ast.stmt, ast.ExceptHandler, ast.match_case)
_LONGEST = 200
"""Longer strings in a source are not taken for names of files."""


@dataclass(frozen=True)
class SourceText:
    """What is read off a source.

    Args:
        imports: every module that it may import, dotted, with the names taken from it, which may be modules.
        words: its string constants.
        computes_names: whether it imports by names that are no constants.
        at_home: whether it asks where it lies.
        networks: the feature networks that it names.
    """

    imports: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()
    computes_names: bool = False
    at_home: bool = False
    networks: frozenset[str] = frozenset()


def read_source(path: Path, name: str, *, whole: bool) -> SourceText:
    """Return what a source of that name says; nothing of one that cannot be read.

    Args:
        whole: whether its words count, and not its imports alone.
    """
    try:
        text = path.read_bytes()
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return SourceText()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    imports: dict[str, None] = {}
    words, computes, at_home = set(), False, False
    for node in _outside_hooks(tree, whole or any(call.encode() in text for call in IMPORTING)):
        imports.update(dict.fromkeys(_imported(node, package)))
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and len(node.value) <= _LONGEST:
                words.add(node.value)
        elif isinstance(node, ast.Call):
            constant = bool(node.args) and isinstance(node.args[0], ast.Constant)
            computes = computes or (_called(node) in IMPORTING and not constant)
        elif isinstance(node, ast.Name | ast.Attribute | ast.alias):
            at_home = at_home or _word(node) in PLACES
    networks = frozenset(name for name in NAMED_NETWORKS if name.encode() in text)
    return SourceText(tuple(imports), frozenset(words), computes, at_home, networks)


def _word(node: ast.Name | ast.Attribute | ast.alias) -> str:
    if isinstance(node, ast.alias):
        return node.name.rpartition(".")[2]
    return node.id if isinstance(node, ast.Name) else node.attr


def _outside_hooks(tree: ast.AST, expressions: bool) -> Iterator[ast.AST]:
    """Yield the statements outside of hooks and of what only type checkers read, and on demand the
    expressions in them.
    """
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            waiting += node.orelse
        else:
            inside = ast.iter_child_nodes(node)
            waiting += [each for each in inside if (expressions or isinstance(each, STATEMENTS)) and not _is_hook(each)]


def _is_hook(node: ast.AST) -> bool:
    marks = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    names = [mark.func if isinstance(mark, ast.Call) else mark for mark in marks]
    return any(isinstance(name, ast.Name | ast.Attribute) and _word(name) == "hookimpl" for name in names)


def _imported(node: ast.AST, package: str) -> Iterator[str]:
    """Yield the modules that a statement or a call may import; `package` is where relative names start."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        parts = package.split(".")
        above = parts[: len(parts) - node.level + 1] if node.level else []
        module = ".".join([*above, *([node.module] if node.module else [])])
        if module:
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield f"{package}{first.value}" if first.value.startswith(".") else first.value


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def named_beside(path: Path, source: SourceText) -> list[Path]:
    """Return the files in the folder of a module that its text names: whole, by a pattern, or by their ending."""
    folder = path.parent
    files: dict[Path, None] = {}
    with suppress(OSError):
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry != path)
        for word in source.words:
            last = word.replace("\\", "/").rstrip("/").rpartition("/")[2]
            for entry in entries:
                if entry.is_file() and _names(last, entry.name):
                    files[entry] = None
                elif source.at_home and entry.is_dir() and entry.name in word.replace("\\", "/").split("/"):
                    files.update(dict.fromkeys(files_below(entry)))
            with suppress(ValueError):
                inside = folder / word
                if "/" in word and not Path(word).is_absolute() and inside.is_file():
                    files[inside] = None
    return sorted(files)


def _names(word: str, name: str) -> bool:
    """Return whether a word names a file.

    >>> [_names(word, "table.json") for word in ("table.json", "*.json", ".json", "table", "")]
    [True, True, True, False, False]
    """
    if word.startswith(".") and len(word) > 1:
        return name.endswith(word)
    return word == name or (set("*?") & set(word) != set() and word.strip("*?") != "" and fnmatch(name, word))
