"""One plugin, from its name to the classes that it hands over. Whatever goes wrong on the way stays here."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import pluggy

from metai2i import hookspecs
from metai2i.errors import UserError, counted, did_you_mean
from metai2i.guards.surroundings import own_interruptions, put_back
from metai2i.registry.declared import check_declared
from metai2i.registry.discovery import Plugin
from metai2i.registry.options import class_place, describe_options, option_problems

Status = Literal["ok", "broken", "clash"]


@dataclass(frozen=True)
class Kind:
    """One of the seven kinds of component.

    Args:
        name: as messages call it.
        key: its section in a recipe, or for metrics, networks and exporters what stands for one.
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
        """Return the class that components of this kind must be a subclass of."""
        module, _, name = self.interface.partition(":")
        base_class: type = getattr(import_module(module), name)
        return base_class


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("translator", "translator", "register_translators", "metai2i.translator:Translator"),
        Kind("task source", "tasks", "register_task_sources", "metai2i.tasks:TaskSource"),
        Kind("strategy", "strategy", "register_strategies", "metai2i.strategy:MetaStrategy"),
        Kind("retriever", "retriever", "register_retrievers", "metai2i.retriever:Retriever"),
        Kind("metric", "metric", "register_metrics", "metai2i.metric:Metric", ("label", "higher_is_better")),
        Kind("network", "network", "register_networks", "metai2i.network:FrozenNetwork", ("files", "origin")),
        Kind("exporter", "exporter", "register_exporters", "metai2i.exporter:Exporter", ("takes",)),
    )
}


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
        traceback: the whole of it, where the plugin's own code has raised something.
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
        """Return the package that brought it; None for a one-file plugin."""
        return self.plugin.distribution

    @property
    def version(self) -> str | None:
        """Return that package's version."""
        return self.plugin.version


def open_plugin(plugin: Plugin) -> list[PluginStatus]:
    """Import a plugin, call its hooks and look at what they hand over. Nothing but Ctrl-C gets out of here, and what it
    has changed for the whole process is put back.
    """
    with put_back(f"the plugin {plugin.label}"):
        return _opened(plugin)


def _opened(plugin: Plugin) -> list[PluginStatus]:
    try:
        with own_interruptions("its import"):
            module = plugin.load()
        manager = pluggy.PluginManager(hookspecs.GROUP)
        manager.add_hookspecs(hookspecs)
        manager.register(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a plugin must not end the program
        return _failures(plugin, None, error)
    failures = [status for name in _unknown_hooks(manager) for status in _failures(plugin, None, name)]
    for kind in KINDS.values():
        failures += _call_hook(manager, plugin, kind)
    if not failures and not manager.hook.register_data_commands.get_hookimpls():
        hooks = ", ".join(kind.hook for kind in KINDS.values())
        nothing = UserError("it registers no component", hint=f"known hooks, each marked @hookimpl: {hooks}")
        return _failures(plugin, None, nothing)
    return failures


def _unknown_hooks(manager: pluggy.PluginManager) -> list[UserError]:
    hooks = [hook for hook in vars(manager.hook).values() if isinstance(hook, pluggy.HookCaller)]
    known = [kind.hook for kind in KINDS.values()]
    return [
        UserError(f"unknown hook {hook.name!r}", hint=did_you_mean(hook.name, known))
        for hook in hooks
        if not hook.has_spec() and not all(impl.optionalhook for impl in hook.get_hookimpls())
    ]


def _taken(name: Any, component: Any) -> tuple[Any, Any]:
    """Return what a plugin hands to `register`, in its order or by name."""
    return name, component


def _call_hook(manager: pluggy.PluginManager, plugin: Plugin, kind: Kind) -> list[PluginStatus]:
    statuses: list[PluginStatus] = []

    def register(*given: Any, **named: Any) -> None:
        try:
            name, component = _taken(*given, **named)
        except TypeError:
            what = f"register is called with {counted(len(given) + len(named), 'argument')} by the hook {kind.hook}"
            raise UserError(what, hint="expected a name and a class") from None
        try:
            _check_component(kind, name, component)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if type(error) is UserError and error.where is None and isinstance(component, type):
                error = UserError(error.what, where=class_place(component), hint=error.hint)
            shown = name if isinstance(name, str) and name.isprintable() else repr(name)
            statuses.append(_broken(plugin, kind.name, shown, error))
        else:
            statuses.append(PluginStatus(name, kind.name, component, plugin, _origin(component, plugin)))

    try:
        with own_interruptions(kind.hook):
            getattr(manager.hook, kind.hook)(register=register)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        statuses += _failures(plugin, kind.name, error)
    return statuses


def _check_component(kind: Kind, name: Any, component: Any) -> None:
    """Raise a `UserError` unless `component` can be used in a recipe as it is."""
    if not isinstance(name, str) or not name.strip():
        raise UserError(f"got the name {name!r}, expected a string")
    if not name.isprintable():
        raise UserError(f"got the name {name!r}, expected characters that can be printed")
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
    check_declared(kind.name, component)
    for problem in option_problems(component, {}):
        if not problem.on_key:  # a default; that required options are missing is all right here
            raise UserError(f"class {component.__name__} has a default that does not fit: {problem.sentence()}")
    options = describe_options(component)  # a docstring that cannot be read would fail the listing
    if kind.name == "metric" and options:
        what = (
            f"class {component.__name__} has the option {options[0].name!r}, and recipes name metrics without options"
        )
        raise UserError(what, hint="make it a constant, or a metric of its own")
    if kind.name == "strategy" and getattr(component, "meta"):  # noqa: B009
        name = "meta_gradient"
        if getattr(component, name) is getattr(kind.base(), name):
            what = f"class {component.__name__} does not define {name}"
            raise UserError(what, hint="meta-training needs it; without any, say `meta = False`")


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
        traceback="" if isinstance(error, UserError) else "".join(traceback.format_exception(error)).rstrip(),
    )


def _cause(error: BaseException, plugin: Plugin) -> str:
    """Return one line: what, and the line of the plugin that it came from."""
    try:
        text = str(error).strip().partition("\n")[0]
    except Exception:
        text = "it cannot be put into words"
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
