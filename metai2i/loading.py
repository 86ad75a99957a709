"""One plugin, from its name to the classes that it hands over. Whatever goes wrong on the way stays here."""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.metadata
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pluggy

from metai2i import __version__, hookspecs
from metai2i.errors import UserError, did_you_mean
from metai2i.measures import MEASURES
from metai2i.options import option_problems

Status = Literal["ok", "broken", "clash"]


@dataclass(frozen=True)
class Kind:
    """One of the five kinds of component.

    Args:
        name: as messages call it.
        key: its section in a recipe, or for metrics where a recipe names them.
        hook: the hook by which plugins hand it over.
        interface: the class it must be a subclass of, as `module:name`.
        declares: class attributes that it must have.
    """

    name: str
    key: str
    hook: str
    interface: str
    declares: tuple[str, ...] = ()

    def base(self) -> type:
        """The class that components of this kind must be a subclass of."""
        module, _, name = self.interface.partition(":")
        found: type = getattr(import_module(module), name)
        return found


KINDS = {
    kind.name: kind
    for kind in (
        Kind("translator", "translator", "register_translators", "metai2i.translator:Translator"),
        Kind("task source", "tasks", "register_task_sources", "metai2i.tasks:TaskSource"),
        Kind("strategy", "strategy", "register_strategies", "metai2i.strategy:MetaStrategy"),
        Kind("retriever", "retriever", "register_retrievers", "metai2i.retriever:Retriever"),
        Kind("metric", "metric", "register_metrics", "metai2i.metric:Metric", ("label", "higher_is_better")),
    )
}


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
    """

    names: tuple[str, ...]
    label: str
    load: Callable[[], object] = field(compare=False)
    locate: Callable[[], str] = field(compare=False)
    distribution: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class PluginStatus:
    """One line of the listing: a component, or a plugin that did not get so far as to hand one over.

    Args:
        name: the component's name, or the entry point's (the file's stem) when there is no component.
        kind: a key of `KINDS`, or None when it is not known.
        component: the class; None when broken.
        plugin: what brought it.
        origin: the file that the class, or else the plugin, is in.
        status: "ok", "broken", or "clash" when another plugin hands over the same name.
        cause: what is wrong, on one line; empty when nothing is.
        traceback: the whole of it.
    """

    name: str
    kind: str | None
    component: type | None
    plugin: Plugin
    origin: str
    status: Status = "ok"
    cause: str = ""
    traceback: str = ""

    @property
    def distribution(self) -> str | None:
        """The package that brought it; None for a one-file plugin."""
        return self.plugin.distribution

    @property
    def version(self) -> str | None:
        """That package's version."""
        return self.plugin.version


def installed_plugins() -> list[Plugin]:
    """The entry points of the group, from metadata alone. Entry points to one object are one plugin."""
    grouped: dict[tuple[str, str], list[importlib.metadata.EntryPoint]] = {}
    for point in importlib.metadata.entry_points(group=hookspecs.GROUP):
        grouped.setdefault((point.dist.name if point.dist else "", point.value), []).append(point)
    return [_installed_plugin(points) for points in grouped.values()]


def core_plugin() -> Plugin:
    """The core's own metrics, as a plugin that is always there."""
    return Plugin(
        names=tuple(MEASURES),
        label=f"metai2i {__version__}",
        load=lambda: import_module("metai2i.metrics"),
        locate=lambda: str(Path(__file__).with_name("metrics.py")),
        distribution="metai2i",
        version=__version__,
    )


def _installed_plugin(points: list[importlib.metadata.EntryPoint]) -> Plugin:
    point = points[0]
    distribution, version = (point.dist.name, point.dist.version) if point.dist else (None, None)
    return Plugin(
        names=tuple(sorted({each.name for each in points})),
        label=f"{distribution} {version}" if distribution else point.value,
        load=point.load,
        locate=lambda: _file_of_module(point.module),
        distribution=distribution,
        version=version,
    )


def _file_of_module(name: str) -> str:
    """The file of a module, found without importing it; its name where it cannot be found."""
    try:
        spec = importlib.machinery.PathFinder.find_spec(name.partition(".")[0])
    except Exception:
        spec = None
    return spec.origin if spec and spec.origin else name


def plugins_in_folder(folder: Path) -> list[Plugin]:
    """The one-file plugins of a folder: every `*.py` that does not start with `_`.

    Raises:
        UserError: when there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"got {str(folder)!r}, expected a folder with one-file plugins (*.py)")
    return [_one_file_plugin(path.resolve()) for path in sorted(folder.glob("*.py")) if not path.name.startswith("_")]


def _one_file_plugin(path: Path) -> Plugin:
    return Plugin(names=(path.stem,), label=str(path), load=lambda: _import_file(path), locate=lambda: str(path))


def _import_file(path: Path) -> ModuleType:
    """The module of a file, kept in `sys.modules` so that its classes can be inspected and pickled.

    Two registries over one unchanged file share the module, and so its classes.
    """
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    name = f"metai2i_plugins_{path.stem}"
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
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def open_plugin(plugin: Plugin) -> list[PluginStatus]:
    """Imports a plugin, calls its hooks and looks at what they hand over. Nothing but Ctrl-C gets out of here."""
    try:
        module = plugin.load()
        manager = pluggy.PluginManager(hookspecs.GROUP)
        manager.add_hookspecs(hookspecs)
        manager.register(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a plugin must not end the program
        return _failures(plugin, None, error)
    found = [status for name in _unknown_hooks(manager) for status in _failures(plugin, None, name)]
    for kind in KINDS.values():
        found += _call_hook(manager, plugin, kind)
    if not found and not manager.hook.register_data_commands.get_hookimpls():
        nothing = UserError("it hands over nothing", hint=f"known hooks: {', '.join(k.hook for k in KINDS.values())}")
        return _failures(plugin, None, nothing)
    return found


def _unknown_hooks(manager: pluggy.PluginManager) -> list[UserError]:
    hooks = [hook for hook in vars(manager.hook).values() if isinstance(hook, pluggy.HookCaller)]
    known = [kind.hook for kind in KINDS.values()]
    return [
        UserError(f"unknown hook {hook.name!r}", hint=did_you_mean(hook.name, known))
        for hook in hooks
        if not hook.has_spec() and not all(impl.optionalhook for impl in hook.get_hookimpls())
    ]


def _call_hook(manager: pluggy.PluginManager, plugin: Plugin, kind: Kind) -> list[PluginStatus]:
    found: list[PluginStatus] = []

    def register(name: str, component: type) -> None:
        try:
            _check_component(kind, name, component)
        except Exception as error:
            found.append(_broken(plugin, kind.name, str(name), error))
        else:
            found.append(PluginStatus(name, kind.name, component, plugin, _origin(component, plugin)))

    try:
        getattr(manager.hook, kind.hook)(register=register)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        found += _failures(plugin, kind.name, error)
    return found


def _check_component(kind: Kind, name: Any, component: Any) -> None:
    """Raises a `UserError` unless `component` can be used in a recipe as it is."""
    if not isinstance(name, str) or not name:
        raise UserError(f"got the name {name!r}, expected a string")
    expected = f"expected a subclass of metai2i.{kind.base().__name__}"
    if not isinstance(component, type):
        raise UserError(f"got {component!r}, {expected}", hint="hand over the class, not an object of it")
    if not issubclass(component, kind.base()):
        raise UserError(f"got class {component.__name__}, {expected}")
    if inspect.isabstract(component):
        methods = ", ".join(sorted(vars(component)["__abstractmethods__"]))
        raise UserError(f"class {component.__name__} does not define {methods}")
    absent = [attribute for attribute in kind.declares if not hasattr(component, attribute)]
    if absent:
        raise UserError(f"class {component.__name__} does not say its {' and '.join(absent)}")
    for problem in option_problems(component, {}):
        if not problem.on_key:  # a default; that required options are missing is all right here
            raise UserError(f"class {component.__name__} has a default that does not fit: {problem.sentence()}")


def _origin(component: type, plugin: Plugin) -> str:
    try:
        return inspect.getsourcefile(component) or plugin.locate()
    except (TypeError, OSError):
        return plugin.locate()


def _failures(plugin: Plugin, kind: str | None, error: BaseException) -> list[PluginStatus]:
    return [_broken(plugin, kind, name, error) for name in plugin.names]


def _broken(plugin: Plugin, kind: str | None, name: str, error: BaseException) -> PluginStatus:
    return PluginStatus(
        name=name,
        kind=kind,
        component=None,
        plugin=plugin,
        origin=plugin.locate(),
        status="broken",
        cause=_cause(error, plugin),
        traceback="".join(traceback.format_exception(error)).rstrip(),
    )


def _cause(error: BaseException, plugin: Plugin) -> str:
    """One line: what, and the line of the plugin that it came from."""
    text = str(error).strip().partition("\n")[0]
    if isinstance(error, UserError):
        return str(error)
    words = f"{type(error).__name__}: {text}" if text else type(error).__name__
    home = Path(plugin.locate()).parent
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if home.is_absolute() and Path(frame.filename).parent == home
    ]
    return f"{words} ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else words
