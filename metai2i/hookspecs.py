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

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import pluggy

if TYPE_CHECKING:
    import click

GROUP = "metai2i"
"""The entry-point group."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Register(Protocol):
    """What a hook is handed: call it with a name, as recipes write it, and a class."""

    def __call__(self, name: str, component: type) -> None:
        """Hand over `component` under `name`."""


class RegisterCommand(Protocol):
    """What a hook for commands is handed: call it with a name, as the command line has it, and a click command."""

    def __call__(self, name: str, command: click.Command | Callable[[], click.Command]) -> None:
        """Hand over `command`, or a function that makes it when it is asked for, under `name`."""


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


@hookspec
def register_metrics(register: Register) -> None:
    """Hand over `Metric` classes: `register("face_landmarks", FaceLandmarks)`."""


@hookspec
def register_networks(register: Register) -> None:
    """Hand over `FrozenNetwork` classes: `register("arcface", ArcFace)`."""


@hookspec
def register_exporters(register: Register) -> None:
    """Hand over `Exporter` classes: `register("onnx", Onnx)`."""


@hookspec
def register_data_commands(register: RegisterCommand) -> None:
    """Hand over subcommands of `metai2i data`, which prepare data: `register("faces", prepare_command)`."""
