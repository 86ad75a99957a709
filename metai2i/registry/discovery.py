"""The plugins that are there, found without importing any: entry points, files of a folder, and the core's own."""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.metadata
import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

from metai2i import __version__, hookspecs
from metai2i.errors import Location, UserError
from metai2i.metrics.display import MEASURES

ONE_FILE = "metai2i_plugins_"
"""What the names of the modules of one-file plugins start with."""
CORE_NETWORKS = ("alex", "squeeze", "vgg16", "vgg19", "vgg19-raw", "vgg19-caffe", "inception-fid", "hed")
"""The names of the core's frozen networks."""
CORE_EXPORTERS = ("onnx", "torch", "tensorboard", "mlflow", "trackio", "wandb", "latex", "markdown", "figures")
"""The names of the core's exporters."""


@dataclass(frozen=True)
class Plugin:
    """A module that hands over components, not imported yet.

    Args:
        names: the names of its entry points, or the stem of its file.
        label: what messages call it.
        load: imports it.
        locate: the file it is in, or its module's name where that cannot be found out.
        distribution: the package that brought it; None for a one-file plugin.
        version: that package's version.
        package: the top-level package that it is imported as; None for a one-file plugin.
    """

    names: tuple[str, ...]
    label: str
    load: Callable[[], object] = field(compare=False)
    locate: Callable[[], str] = field(compare=False)
    distribution: str | None = None
    version: str | None = None
    package: str | None = None


def installed_plugins() -> list[Plugin]:
    """Return the entry points of the group, from metadata alone. Entry points to one object are one plugin.

    A distribution whose metadata cannot be read is a plugin that cannot be loaded; the others are not held up by it.
    """
    grouped: dict[tuple[str, str], list[importlib.metadata.EntryPoint]] = {}
    unread: list[Plugin] = []
    try:
        points: Iterable[importlib.metadata.EntryPoint] = importlib.metadata.entry_points(group=hookspecs.GROUP)
    except Exception:  # somebody's entry_points.txt, which stops them all: read one by one
        points = list(_points_one_by_one(unread))
    for point in points:
        grouped.setdefault((_distribution(point)[0] or "", point.value), []).append(point)
    return [*map(_installed_plugin, grouped.values()), *unread]


def _points_one_by_one(unread: list[Plugin]) -> Iterator[importlib.metadata.EntryPoint]:
    """Yield the entry points of every distribution that can be read; the others go to `unread`."""
    for distribution in importlib.metadata.distributions():
        try:
            yield from distribution.entry_points.select(group=hookspecs.GROUP)
        except Exception as error:
            unread.append(_unread_plugin(distribution, error))


def _unread_plugin(distribution: importlib.metadata.Distribution, error: Exception) -> Plugin:
    folder = str(getattr(distribution, "_path", "a folder without a name"))
    name = Path(folder).name.partition("-")[0]
    cause = UserError(f"its entry_points.txt cannot be read: {type(error).__name__}: {error}", where=folder)

    def load() -> object:
        raise cause

    return Plugin(names=(name,), label=name, load=load, locate=lambda: folder, distribution=name)


def _distribution(point: importlib.metadata.EntryPoint) -> tuple[str | None, str | None]:
    """Name and version of the distribution of an entry point; None where its metadata do not tell."""
    try:
        return (point.dist.name or None, point.dist.version or None) if point.dist else (None, None)
    except Exception:  # METADATA is missing or no metadata
        return None, None


def core_plugin() -> Plugin:
    """Return the core's own metrics, as a plugin that is always there."""
    return Plugin(
        names=tuple(MEASURES),
        label=f"metai2i {__version__}",
        load=lambda: import_module("metai2i.metrics.builtin"),
        locate=lambda: str(Path(__file__).parents[1] / "metrics" / "builtin.py"),
        distribution="metai2i",
        version=__version__,
        package="metai2i",
    )


def core_networks() -> Plugin:
    """Return the core's own frozen networks, as a plugin that is always there."""
    return replace(
        core_plugin(),
        names=CORE_NETWORKS,
        load=lambda: import_module("metai2i.losses.networks"),
        locate=lambda: str(Path(__file__).parents[1] / "losses" / "networks.py"),
    )


def core_exporters() -> Plugin:
    """Return the core's own exporters, as a plugin that is always there."""
    return replace(
        core_plugin(),
        names=CORE_EXPORTERS,
        load=lambda: import_module("metai2i.exporting.builtin"),
        locate=lambda: str(Path(__file__).parents[1] / "exporting" / "builtin.py"),
    )


def core_plugins() -> list[Plugin]:
    """Return what the core itself hands over."""
    return [core_plugin(), core_networks(), core_exporters()]


def _installed_plugin(points: list[importlib.metadata.EntryPoint]) -> Plugin:
    point = points[0]
    distribution, version = _distribution(point)
    module = re.match(r"[\w.]*", point.value)
    name = module[0] if module else ""
    return Plugin(
        names=tuple(sorted({each.name for each in points})),
        label=f"{distribution} {version}" if distribution else point.value,
        load=lambda: _import_point(point),
        locate=lambda: _file_of_module(name),
        distribution=distribution,
        version=version,
        package=name.partition(".")[0],
    )


def _import_point(point: importlib.metadata.EntryPoint) -> object:
    """Return the object that an entry point names, unless its distribution was made for another core.

    Raises:
        UserError: when the distribution's requirements leave this version of metai2i out, or when there is no such
            object.
    """
    if point.dist is not None:
        check_core(_requirements(point.dist))
    hint = "the entry points stand in its pyproject.toml; install it again after a change"
    line = f"{point.name} = {point.value!r}"
    try:
        return point.load()
    except ModuleNotFoundError as error:
        if error.name is None or not f"{point.module}.".startswith(f"{error.name}."):
            raise
        raise UserError(f"its entry point {line} names a module that is not there: {error.name}", hint=hint) from error
    except AttributeError as error:
        module = sys.modules.get(point.module)
        if module is None or not point.attr or hasattr(module, point.attr.partition(".")[0]):
            raise
        raise UserError(f"its entry point {line} names what {point.module} does not have", hint=hint) from error


def _requirements(distribution: importlib.metadata.Distribution) -> list[str]:
    try:
        return list(distribution.requires or ())
    except Exception:  # METADATA is missing: it says nothing, and the import tells the rest
        return []


def check_core(requirements: Iterable[str]) -> None:
    """Refuse what was made for another version of the core.

    Args:
        requirements: those of a distribution's metadata, such as `metai2i>=0.2,<0.3`. What is no requirement, or is
            for an extra or another platform, is passed over.

    Raises:
        UserError: with the versions that are wanted and the one that is here.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    for line in requirements:
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        meant = wanted.name.lower() == "metai2i" and (wanted.marker is None or wanted.marker.evaluate({"extra": ""}))
        if meant and not wanted.specifier.contains(__version__, prereleases=True):
            what = f"it was made for metai2i {wanted.specifier}, and this is {__version__}"
            raise UserError(what, hint="install a version of it that was made for this one")


def label_of(component: type) -> str:
    """Return what brought a class, for messages: `metai2i-pix2pix 0.1.0`, or the file of a one-file plugin."""
    return _label_of_module(component.__module__) or component.__module__


def _label_of_module(name: str) -> str | None:
    """Return the plugin that a module belongs to; for a module that no plugin claims, its file."""
    package = name.partition(".")[0]
    for plugin in (*core_plugins(), *installed_plugins()):
        if package == plugin.package:
            return plugin.label
    return getattr(sys.modules.get(name), "__file__", None)


@dataclass(frozen=True)
class Blame:
    """Who is behind an error, and the line of theirs in which it came up, or that called what it came up in.

    Args:
        label: the plugin, as messages call it.
        function: the name of the function.
        place: its file and line.
    """

    label: str | None
    function: str
    place: Location


def plugin_behind(error: BaseException) -> Blame | None:
    """Return the plugin that is behind an error; None when it was the core's own."""
    installed = {plugin.package: plugin.label for plugin in installed_plugins()}
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        name = str(frame.f_globals.get("__name__", ""))
        package = name.partition(".")[0]
        label = installed.get(package)
        if label is not None or package.startswith(ONE_FILE):
            place = Location(frame.f_code.co_filename, line)
            return Blame(label or _label_of_module(name), frame.f_code.co_name, place)
    return None


def _file_of_module(name: str) -> str:
    """Return the file of a module, found without importing it; its name where it cannot be found."""
    try:
        spec = importlib.machinery.PathFinder.find_spec(name.partition(".")[0])
    except Exception:
        spec = None
    return spec.origin if spec and spec.origin else name


def plugins_in_folder(folder: Path) -> list[Plugin]:
    """Return the one-file plugins of a folder.

    Raises:
        UserError: when there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"got {str(folder)!r}, expected a folder with one-file plugins (*.py)")
    return [_one_file_plugin(path.resolve()) for path in files_of_plugins(folder)]


def files_of_plugins(folder: Path) -> list[Path]:
    """Return the files of a folder that are plugins: every `*.py` that does not start with `_` and is none of pytest's,
    whose tests may lie beside them.
    """
    return [path for path in sorted(folder.glob("*.py")) if may_be_plugin(path.stem)]


def may_be_plugin(name: str) -> bool:
    """Return whether a file of that name, without its ending, can be a one-file plugin."""
    return not name.startswith(("_", "test_")) and name != "conftest"


def _one_file_plugin(path: Path) -> Plugin:
    return Plugin(names=(path.stem,), label=str(path), load=lambda: _import_file(path), locate=lambda: str(path))


def _import_file(path: Path) -> ModuleType:
    """Return the module of a file, kept in `sys.modules` so that its classes can be inspected and pickled.

    Two registries over one unchanged file share the module, and so its classes. What runs are the bytes that were
    digested: compiled files that Python keeps go by size and second of a change, and may be of what was there before.
    """
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    name = f"{ONE_FILE}{path.stem}"
    known = sys.modules.get(name)
    if known is not None and known.__file__ != str(path):  # a namesake from another folder
        name = f"{name}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
        known = sys.modules.get(name)
    if known is not None and getattr(known, "__metai2i_digest__", None) == digest:
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    module.__dict__["__metai2i_digest__"] = digest
    sys.modules[name] = module
    try:
        exec(compile(content, str(path), "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module
