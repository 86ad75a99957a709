"""All plugins together: names are listed from metadata, and a module is imported when its name is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from metai2i.errors import UserError, did_you_mean
from metai2i.pipeline.sources import Sources, sources_of
from metai2i.registry.discovery import Plugin, core_plugins, installed_plugins, plugins_in_folder
from metai2i.registry.loading import KINDS, Kind, PluginStatus, open_plugin

if TYPE_CHECKING:
    from metai2i.exporter import Exporter
    from metai2i.metric import Metric
    from metai2i.network import FrozenNetwork
    from metai2i.retriever import Retriever
    from metai2i.strategy import MetaStrategy
    from metai2i.tasks import TaskSource
    from metai2i.translator import Translator

__all__ = ["KINDS", "Kind", "PluginStatus", "Registry"]


class Registry:
    """The components that are installed, and those of one-file plugins.

    A plugin is opened (imported, its hooks called) when a name needs it; one that fails is kept with its cause and
    harms nobody else.

    Args:
        plugins_dirs: folders with one-file plugins.

    Raises:
        UserError: when one of the folders is missing.
    """

    def __init__(self, plugins_dirs: Sequence[Path | str] = ()) -> None:
        self._plugins: list[Plugin] = [*core_plugins(), *installed_plugins()]
        self._opened: dict[Plugin, list[PluginStatus]] = {}
        self._sources: dict[type, Sources] = {}
        for folder in plugins_dirs:
            self.add_folder(folder)

    def add_folder(self, folder: Path | str) -> None:
        """Take in the one-file plugins of a folder; those that are in already are left as they are."""
        self._plugins += [plugin for plugin in plugins_in_folder(Path(folder)) if plugin not in self._plugins]

    @overload
    def get(self, kind: Literal["translator"], name: str) -> type[Translator]: ...
    @overload
    def get(self, kind: Literal["task source"], name: str) -> type[TaskSource]: ...
    @overload
    def get(self, kind: Literal["strategy"], name: str) -> type[MetaStrategy]: ...
    @overload
    def get(self, kind: Literal["retriever"], name: str) -> type[Retriever]: ...
    @overload
    def get(self, kind: Literal["metric"], name: str) -> type[Metric]: ...
    @overload
    def get(self, kind: Literal["network"], name: str) -> type[FrozenNetwork]: ...
    @overload
    def get(self, kind: Literal["exporter"], name: str) -> type[Exporter]: ...
    @overload
    def get(self, kind: str, name: str) -> type: ...
    def get(self, kind: str, name: str) -> type:
        """Return the class called `name`.

        One-file plugins and the entry points called `name` or `KEY.name` (`translator.pix2pix`) are opened first; the
        others only when these do not have it.

        Args:
            kind: a key of `KINDS`: "translator", "task source", "strategy", "retriever", "metric", "network" or
                "exporter".
            name: as recipes write it.

        Raises:
            UserError: when there is none, when its plugin is broken, or when several plugins claim the name.
        """
        key = KINDS[kind].key
        for plugin in self._plugins:
            if plugin.distribution is None or not {name, f"{key}.{name}"}.isdisjoint(plugin.names):
                self._open(plugin)
        if not self._claims(kind, name):
            self._open_all()
        claims = self._claims(kind, name)
        if not claims:
            raise self._unknown(kind, name)
        if len(claims) > 1:
            raise UserError(f"{kind} {name!r} is claimed by {_several(claims)}", hint="remove or rename all but one")
        component = claims[0].component
        assert component is not None
        return component

    @overload
    def components(self, kind: Literal["translator"]) -> dict[str, type[Translator]]: ...
    @overload
    def components(self, kind: Literal["task source"]) -> dict[str, type[TaskSource]]: ...
    @overload
    def components(self, kind: Literal["strategy"]) -> dict[str, type[MetaStrategy]]: ...
    @overload
    def components(self, kind: Literal["retriever"]) -> dict[str, type[Retriever]]: ...
    @overload
    def components(self, kind: Literal["metric"]) -> dict[str, type[Metric]]: ...
    @overload
    def components(self, kind: Literal["network"]) -> dict[str, type[FrozenNetwork]]: ...
    @overload
    def components(self, kind: Literal["exporter"]) -> dict[str, type[Exporter]]: ...
    @overload
    def components(self, kind: str) -> dict[str, type]: ...
    def components(self, kind: str) -> dict[str, type]:
        """Return all classes of a kind that can be used, by name. Opens every plugin."""
        statuses = [status for status in self.all() if status.kind == kind and status.status == "ok"]
        return {status.name: status.component for status in statuses if status.component is not None}

    def all(self) -> list[PluginStatus]:
        """Return every component and every failure, by kind and name. Opens every plugin."""
        self._open_all()
        order = [*KINDS, None]
        listing = [self._with_clash(status) for statuses in self._opened.values() for status in statuses]
        return sorted(listing, key=lambda status: (order.index(status.kind), status.name, status.origin))

    def identity(self, kind: str, name: str) -> dict[str, str | None]:
        """Return what decides a component's behaviour besides its options: `name`, `distribution`, `version`, `source`.

        `source` is the SHA-256 over all files that decide what the class does.
        """
        source = self.depends(kind, name).digest
        claim = self._claims(kind, name)[0]
        return {
            "name": name,
            "distribution": claim.distribution,
            "version": claim.version,
            "source": source,
        }

    def depends(self, kind: str, name: str) -> Sources:
        """Return the files that decide what a component does, and the feature networks that it may use."""
        component = self.get(kind, name)
        if component not in self._sources:
            self._sources[component] = sources_of(component)
        return self._sources[component]

    def _open(self, plugin: Plugin) -> None:
        if plugin not in self._opened:
            self._opened[plugin] = open_plugin(plugin)

    def _open_all(self) -> None:
        for plugin in self._plugins:
            self._open(plugin)

    def _statuses(self) -> list[PluginStatus]:
        return [status for statuses in self._opened.values() for status in statuses]

    def _claims(self, kind: str, name: str) -> list[PluginStatus]:
        """Return who hands over `name`; several for one and the same class count once."""
        by_class = {
            status.component: status
            for status in reversed(self._statuses())
            if (status.kind, status.name) == (kind, name) and status.component is not None
        }
        return list(reversed(by_class.values()))

    def _with_clash(self, status: PluginStatus) -> PluginStatus:
        claims = self._claims(status.kind, status.name) if status.kind and status.component else []
        if len(claims) < 2:
            return status
        return replace(status, status="clash", cause=f"claimed by {_several(claims)}")

    def _unknown(self, kind: str, name: str) -> UserError:
        broken = [status for status in self._statuses() if status.status == "broken"]
        for status in broken:
            if status.kind in (kind, None) and status.name in (name, f"{KINDS[kind].key}.{name}"):
                return UserError(
                    f"{kind} {name!r} cannot be used, its plugin {status.plugin.label} is broken: {status.cause}",
                    hint=f"`metai2i plugins {status.name}` shows the whole traceback" if status.traceback else None,
                )
        names = sorted(self.components(kind))
        claimed = {status.name: self._claims(kind, status.name) for status in self._statuses() if status.kind == kind}
        clashes = {other: claims for other, claims in claimed.items() if len(claims) > 1}
        brought = sorted({status.name for status in self._statuses() if name in status.plugin.names} - {name})
        near = did_you_mean(name, names)
        others = [other for other in KINDS if other != kind and self._claims(other, name)]
        hints = [f"{name!r} is a {other}" for other in others]
        if near and near.startswith("did"):
            hints.append(near)
        hints += [f"the plugin {name!r} brings {', '.join(map(repr, brought))}"] if brought else []
        hints.append(f"known: {', '.join(names)}" if names else f"no {kind} is installed")
        hints += [f"{other!r} is claimed by {_several(claims)}" for other, claims in sorted(clashes.items())]
        hints += broken_plugins(broken)
        hints.append("`metai2i plugins` lists all")
        return UserError(f"no {kind} is called {name!r}", hint="; ".join(hints).replace("?;", "?"))


def broken_plugins(statuses: Sequence[PluginStatus]) -> list[str]:
    """Return what to say of broken plugins where a name is not found, which one of them may have wanted to bring."""
    causes = dict.fromkeys(f"{status.plugin.label}: {status.cause}" for status in statuses if status.status == "broken")
    return [f"broken plugins: {', '.join(causes)}"] if causes else []


def _several(claims: Sequence[PluginStatus]) -> str:
    if len({claim.plugin for claim in claims}) == 1:
        classes = ", ".join(claim.component.__name__ for claim in claims if claim.component is not None)
        return f"{claims[0].plugin.label} {len(claims)} times ({classes})"
    return " and ".join(f"{claim.plugin.label} ({claim.origin})" for claim in claims)
