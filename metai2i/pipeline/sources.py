"""The files that a component's behaviour is written in, and what each of them says.

A component depends on the modules of its class, of the classes it is derived from and of its metaclass, and on all that
these import, at the top or inside functions. Imports inside hooks do not count: they hand over other components. What
is followed so are plugins, whether packages or single files, and whatever else lies outside of the environment's
`site-packages`; of what is installed there the version counts, and a digest of the files as they were installed. The
standard library does not count, nor do the core's modules that compute, which are in every stage's name already.

Besides sources the data files of a package count, and the files beside a single module that its text names. A package
that imports by names which are computed while it runs counts as a whole.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache
from inspect import getmro
from pathlib import Path
from types import ModuleType

from metai2i.data.digests import content_digests, file_sha256
from metai2i.errors import UserError
from metai2i.registry.declared import NETWORKS
from metai2i.registry.discovery import installed_plugins

CORE = "metai2i"
HOME = Path(__file__).parents[1]
COMPUTING_FOLDERS = frozenset(
    ["", "data", "distributed", "losses", "meta", "meta/engines", "metrics", "pipeline", "registry", "stages"]
) | {"training"}
"""The core's folders whose modules decide a stage's numbers; the others tell of stages, or use them."""
TELLING = frozenset(["pipeline/reasons.py", "training/progress.py"])
"""What only tells though it lies in one of them."""
WATCHED = frozenset(
    ["torch", "torchvision", "torchmetrics", "learn2learn", "lpips", "numpy", "scipy", "PIL", "safetensors"]
)
"""Packages whose versions are in every stage's name."""
FEATURES = (
    "metai2i.losses.lpips",
    "metai2i.losses.backbone_weights",
    *(
        f"{module}.{name}"
        for module in ("metai2i.metrics", "metai2i.metrics.builtin")
        for name in ("lpips", "Lpips", "own_metrics", "measure")
    ),
)
"""Where the core's feature networks can be had."""
DIGITS = 16
IMPORTING = ("import_module", "__import__", "walk_packages", "iter_modules")
"""Functions that import, or tell what there is to import."""
PLACES = frozenset(["__file__", "__path__", "__spec__", "resources", "get_data", "getfile"])
"""By what a source asks where it lies."""
STATEMENTS = (ast.stmt, ast.ExceptHandler, ast.match_case)
LONGEST = 200
"""Longer strings in a source are not taken for names of files."""


@dataclass(frozen=True)
class Sources:
    """What a component depends on.

    Args:
        files: digests by name, of every file that decides what it does, and of packages it takes from others. Names do
            not depend on where things are installed: `metai2i_pix2pix/unet.py`, `mine.py`, `package timm 1.0`.
        networks: the feature networks whose weights it may use: those that its class names (`feature_networks`), and
            those that its sources name where they use the core's.
    """

    files: Mapping[str, str]
    networks: frozenset[str]

    @property
    def digest(self) -> str:
        """The SHA-256 over all of its files."""
        found = hashlib.sha256()
        for name, content in sorted(self.files.items()):
            found.update(name.encode() + b"\0" + bytes.fromhex(content))
        return found.hexdigest()


def sources_of(component: type) -> Sources:
    """Return what a class depends on, as it lies on the disk now."""
    walk = _Walk()
    for each in (*getmro(component), *getmro(type(component))):
        walk.module(each.__module__, own=each is component)
    files = {**_named(walk.files, _digests(list(walk.files))), **walk.packages}
    used = any(name.startswith(FEATURES) for name in walk.seen) and component.__module__.partition(".")[0] != CORE
    networks = {*getattr(component, "feature_networks", ()), *(walk.networks | {"alex"} if used else ())}
    return Sources(files, frozenset(networks))


def core_files() -> dict[str, str]:
    """Return digests of the core's modules that compute, by name."""
    paths = sorted(file for file in HOME.rglob("*.py") if _computes(file))
    return {f"{CORE}/{path.relative_to(HOME).as_posix()}": file_sha256(path)[:DIGITS] for path in paths}


def _computes(file: Path) -> bool:
    """Return whether a module of the core decides a stage's numbers."""
    name = file.relative_to(HOME).as_posix()
    return name.rpartition("/")[0] in COMPUTING_FOLDERS and name not in TELLING


def _named(files: dict[Path, str], digests: dict[Path, str]) -> dict[str, str]:
    """Digests by the names of the files; of namesakes the later ones are numbered."""
    found: dict[str, str] = {}
    for path, name in sorted(files.items(), key=lambda item: (item[1], digests[item[0]])):
        number = sum(known.partition(" ")[0] == name for known in found) + 1
        found[name if number == 1 else f"{name} {number}"] = digests[path]
    return found


def _digests(paths: Sequence[Path]) -> dict[Path, str]:
    """Digests of sources, which are small, read now; of data files as they are kept."""
    small = [path for path in paths if path.suffix == ".py"]
    large = [path for path in paths if path.suffix != ".py"]
    try:
        kept = dict(zip(large, content_digests(large), strict=True))
    except UserError:  # one of them went away, or may not be read
        kept = dict(zip(large, map(_digest, large), strict=True))
    return kept | {path: _digest(path) for path in small}


def _digest(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError:
        return ""


@dataclass
class _Walk:
    """Goes from module to module by what they import."""

    files: dict[Path, str] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    networks: set[str] = field(default_factory=set)

    def module(self, name: str, beside: Path | None = None, *, own: bool = False) -> None:
        """Takes in a module with all that it imports.

        Args:
            name: dotted; what is no module is passed over.
            beside: the folder of the module that imports it, where it may lie as well.
            own: whether it is the component's own, which counts though it be the core's.
        """
        if name in self.seen:
            return
        self.seen.add(name)
        top = name.partition(".")[0]
        if top == CORE:
            self._core(name, own)
            return
        place = _place(top, beside)
        if place is None or _is_standard(top, place):
            return
        if _is_installed(place) and top not in _plugin_packages():
            if top not in WATCHED:
                self.packages |= _distribution(top)
            return
        self._own(name, place)

    def _core(self, name: str, own: bool) -> None:
        file = HOME.joinpath(*name.split(".")[1:]).with_suffix(".py")
        if name != CORE and file.is_file() and (own or not _computes(file)):
            self.files[file] = file.name if own else f"{CORE}/{file.relative_to(HOME).as_posix()}"

    def _own(self, name: str, place: Path) -> None:
        """Takes in a module of a plugin, and what runs when it is imported: the packages that it is in."""
        if place.is_dir():
            parts = name.split(".")
            for count in range(1, len(parts) + 1):
                file = _module_file(place, parts[1:count])
                if file is not None:
                    self._source(file, ".".join(parts[:count]), place)
            self._data(place)
        else:
            self._source(place, name, None)

    def _data(self, package: Path) -> None:
        if (package / "__init__.py").is_file():
            for path in _below(package):
                if path.suffix != ".py":
                    self._file(path, package)

    def _file(self, path: Path, package: Path | None) -> None:
        name = path.name if package is None else path.relative_to(package.parent).as_posix()
        self.files.setdefault(path, name)

    def _source(self, path: Path, name: str, package: Path | None) -> None:
        """Takes in a source, and what it imports."""
        if path in self.files:
            return
        self._file(path, package)
        source = _read(path, name, whole=package is None)
        self.networks |= source.networks
        for imported in source.imports:
            self.module(imported, path.parent)
        if package is None:
            for named in _named_beside(path, source):
                if named.suffix == ".py":
                    self._source(named, named.stem, None)
                else:
                    self._file(named, None)
        elif source.computes_names and (package / "__init__.py").is_file():
            for other in _below(package):
                if other.suffix == ".py":
                    self._file(other, package)


@dataclass(frozen=True)
class _Source:
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


def _read(path: Path, name: str, *, whole: bool) -> _Source:
    """Return what a source of that name says; nothing of one that cannot be read.

    Args:
        whole: whether its words count, and not its imports alone.
    """
    try:
        text = path.read_bytes()
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return _Source()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    imports: dict[str, None] = {}
    words, computes, at_home = set(), False, False
    for node in _outside_hooks(tree, whole or any(call.encode() in text for call in IMPORTING)):
        imports.update(dict.fromkeys(_imported(node, package)))
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and len(node.value) <= LONGEST:
                words.add(node.value)
        elif isinstance(node, ast.Call):
            constant = bool(node.args) and isinstance(node.args[0], ast.Constant)
            computes = computes or (_called(node) in IMPORTING and not constant)
        elif isinstance(node, ast.Name | ast.Attribute | ast.alias):
            at_home = at_home or _word(node) in PLACES
    networks = frozenset(name for name in NETWORKS if name.encode() in text)
    return _Source(tuple(imports), frozenset(words), computes, at_home, networks)


def _word(node: ast.Name | ast.Attribute | ast.alias) -> str:
    if isinstance(node, ast.alias):
        return node.name.rpartition(".")[2]
    return node.id if isinstance(node, ast.Name) else node.attr


def _outside_hooks(tree: ast.AST, expressions: bool) -> Iterator[ast.AST]:
    """The statements outside of hooks and of what only type checkers read, and on demand the expressions in them."""
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
    """The modules that a statement or a call may import; `package` is where relative names start."""
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


def _named_beside(path: Path, source: _Source) -> list[Path]:
    """The files in the folder of a module that its text names: whole, by a pattern, or by their ending."""
    folder = path.parent
    found: dict[Path, None] = {}
    with suppress(OSError):
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry != path)
        for word in source.words:
            last = word.replace("\\", "/").rstrip("/").rpartition("/")[2]
            for entry in entries:
                if entry.is_file() and _names(last, entry.name):
                    found[entry] = None
                elif source.at_home and entry.is_dir() and entry.name in word.replace("\\", "/").split("/"):
                    found.update(dict.fromkeys(_below(entry)))
            with suppress(ValueError):
                inside = folder / word
                if "/" in word and not Path(word).is_absolute() and inside.is_file():
                    found[inside] = None
    return sorted(found)


def _names(word: str, name: str) -> bool:
    """Whether a word names a file.

    >>> [_names(word, "table.json") for word in ("table.json", "*.json", ".json", "table", "")]
    [True, True, True, False, False]
    """
    if word.startswith(".") and len(word) > 1:
        return name.endswith(word)
    return word == name or (set("*?") & set(word) != set() and word.strip("*?") != "" and fnmatch(name, word))


def _below(folder: Path) -> list[Path]:
    """The files of a folder and those below it, without what Python and the system put there."""
    found = []
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            if path.name.startswith(".") or path.name == "__pycache__" or path.suffix == ".pyc":
                continue
            if path.is_dir():
                found += [] if path.is_symlink() else _below(path)
            elif path.is_file():
                found.append(path)
    return found


def _module_file(package: Path, parts: Sequence[str]) -> Path | None:
    """The file of a module below a folder, as a package or as a single file; None for what is no module."""
    place = package.joinpath(*parts)
    for file in (place / "__init__.py", *([place.with_name(f"{place.name}.py")] if parts else [])):
        if file.is_file():
            return file
    return None


def _place(top: str, beside: Path | None) -> Path | None:
    """The folder of a package, or the file of a module, that is imported by a name without dots."""
    module = sys.modules.get(top)
    if module is not None:
        return _place_of(module)
    if beside is not None:
        near = _module_file(beside, [top])
        if near is not None:
            return near.parent if near.name == "__init__.py" else near
    with suppress(Exception):  # a finder of somebody's
        spec = importlib.util.find_spec(top)
        if spec is not None and spec.submodule_search_locations:
            return Path(next(iter(spec.submodule_search_locations)))
        if spec is not None and spec.has_location and spec.origin:
            return Path(spec.origin)
    return None


def _place_of(module: ModuleType) -> Path | None:
    with suppress(Exception):  # a module that is none, or a lazy one
        for folder in getattr(module, "__path__", None) or ():
            return Path(folder)
        if module.__file__:
            return Path(module.__file__)
    return None


def _is_standard(top: str, place: Path) -> bool:
    return top in sys.stdlib_module_names and place.is_relative_to(_folder("stdlib")) and not _is_installed(place)


def _is_installed(place: Path) -> bool:
    return any(place.is_relative_to(_folder(name)) for name in ("purelib", "platlib")) or any(
        part in ("site-packages", "dist-packages") for part in place.parts
    )


@cache
def _folder(name: str) -> Path:
    return Path(sysconfig.get_path(name))


@cache
def _plugin_packages() -> frozenset[str]:
    return frozenset(plugin.package for plugin in installed_plugins() if plugin.package)


@cache
def _distribution(top: str) -> dict[str, str]:
    """What is installed under the name of a package: its version, and a digest of what was installed."""
    names = [top] if _version(top) else sorted(set(importlib.metadata.packages_distributions().get(top, ())))
    return {f"package {name} {_version(name)}": _record(name) for name in names}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _record(name: str) -> str:
    """A digest of the files of a distribution, by the digests that its installer has noted."""
    record = importlib.metadata.distribution(name).read_text("RECORD") or ""
    lines = (line for line in record.splitlines() if "sha256=" in line and ".dist-info/" not in line)
    return hashlib.sha256("\n".join(sorted(line for line in lines if not line.startswith(".."))).encode()).hexdigest()
