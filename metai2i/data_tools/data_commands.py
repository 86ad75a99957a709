"""The subcommands of `metai2i data` that plugins hand over by the hook `register_data_commands`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass, field

import click
import pluggy

from metai2i import hookspecs
from metai2i.errors import UserError, did_you_mean
from metai2i.registry.discovery import Plugin

Offer = click.Command | Callable[[], click.Command]


@dataclass
class DataCommands:
    """What the plugins offer; a plugin is imported when it is looked into.

    Args:
        plugins: where to look.
        reserved: names that no plugin may take.
    """

    plugins: Iterable[Plugin]
    reserved: frozenset[str] = frozenset()
    offers: dict[str, dict[str, Offer]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Return all names, in alphabetical order. Imports every plugin."""
        self._open(self.plugins)
        return sorted(self.offers)

    def get(self, name: str) -> click.Command:
        """Return the command called `name`; plugins of that name are imported first, the others only when these have it
        not.

        Raises:
            UserError: when there is none, when several plugins offer it, or when making it fails.
        """
        self._open(plugin for plugin in self.plugins if name in plugin.names)
        if name not in self.offers:
            self._open(self.plugins)
        offered = self.offers.get(name, {})
        if not offered:
            raise self._unknown(name)
        if len(offered) > 1:
            raise UserError(f"`metai2i data {name}` is claimed by {' and '.join(offered)}", hint="remove all but one")
        ((label, offer),) = offered.items()
        try:
            command: object = offer if isinstance(offer, click.Command) else offer()
        except Exception as error:
            raise UserError(f"`metai2i data {name}` of {label} is broken: {_cause(error)}") from error
        if not isinstance(command, click.Command):
            raise UserError(f"`metai2i data {name}` of {label} is broken: got {command!r}, expected a click command")
        named = copy(command)
        named.name = name
        return named

    def _open(self, plugins: Iterable[Plugin]) -> None:
        seen = {*self.broken, *(label for offered in self.offers.values() for label in offered)}
        for plugin in plugins:
            if plugin.label not in seen:
                try:
                    self._ask(plugin)
                except KeyboardInterrupt:
                    raise
                except BaseException as error:  # SystemExit too: a plugin must not end the program
                    self.broken[plugin.label] = _cause(error)

    def _ask(self, plugin: Plugin) -> None:
        def register(name: str, command: Offer) -> None:
            if name in self.reserved:
                raise UserError(f"metai2i has a command {name!r} of its own")
            self.offers.setdefault(name, {})[plugin.label] = command

        manager = pluggy.PluginManager(hookspecs.GROUP)
        manager.add_hookspecs(hookspecs)
        manager.register(plugin.load())
        manager.hook.register_data_commands(register=register)

    def _unknown(self, name: str) -> UserError:
        hints = [did_you_mean(name, {*self.offers, *self.reserved})]
        hints += [f"broken plugin {label}: {cause}" for label, cause in self.broken.items()]
        return UserError(f"no command of `metai2i data` is called {name!r}", hint="; ".join(filter(None, hints)))


def _cause(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0]
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}".rstrip(": ")
