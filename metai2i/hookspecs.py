"""The hooks by which plugins hand over their classes. The bundled plugins come in by the same door.

A plugin is a module; its entry point in the group `metai2i` (or a file in a plugins folder) names it::

    # pyproject.toml
    [project.entry-points.metai2i]
    line = "metai2i_line"

    # metai2i_line.py
    @metai2i.hookimpl
    def register_translators(register):
        register("line", Line)
"""

from __future__ import annotations

from typing import Protocol

import pluggy

GROUP = "metai2i"
"""The entry-point group."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Register(Protocol):
    """What a hook is handed: call it with a name, as recipes write it, and a class."""

    def __call__(self, name: str, component: type) -> None:
        """Hands over `component` under `name`."""


@hookspec
def register_translators(register: Register) -> None:
    """Hand over `Translator` classes: `register("pix2pix", Pix2pix)`."""


@hookspec
def register_task_sources(register: Register) -> None:
    """Hand over `TaskSource` classes: `register("street", Street)`."""


@hookspec
def register_strategies(register: Register) -> None:
    """Hand over `MetaStrategy` classes: `register("bil", Bil)`."""


@hookspec
def register_retrievers(register: Register) -> None:
    """Hand over `Retriever` classes: `register("iou", IoU)`."""
