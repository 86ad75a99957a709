"""Sketches of objects and of scenes as metai2i task sources.

The names of `__all__` are what other plugins may build on; the modules of this package may change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metai2i import Register, hookimpl
from metai2i_sketches.compose import Placed as Placed
from metai2i_sketches.compose import composite as composite
from metai2i_sketches.drawings import Drawing as Drawing
from metai2i_sketches.edges import xdog as xdog
from metai2i_sketches.objects import ObjectFiles as ObjectFiles
from metai2i_sketches.objects import Objects as Objects
from metai2i_sketches.recognition import ClassSpec as ClassSpec
from metai2i_sketches.source import ObjectClass as ObjectClass

if TYPE_CHECKING:
    import rich_click as click

    from metai2i import RegisterCommand

__all__ = [
    "ClassSpec",
    "Drawing",
    "ObjectClass",
    "ObjectFiles",
    "Objects",
    "Placed",
    "composite",
    "xdog",
]


@hookimpl
def register_task_sources(register: Register) -> None:
    """Hand over `Sketches` and `SketchScenes`."""
    from metai2i_sketches.scenes import SketchScenes
    from metai2i_sketches.source import Sketches

    register("sketches", Sketches)
    register("sketch_scenes", SketchScenes)


@hookimpl
def register_metrics(register: Register) -> None:
    """Hand over `ClassAccuracy`."""
    from metai2i_sketches.recognition import ClassAccuracy

    register("class_accuracy", ClassAccuracy)


@hookimpl
def register_strategies(register: Register) -> None:
    """Hand over `InBoxes`."""
    from metai2i_sketches.boxes import InBoxes

    register("boxes", InBoxes)


@hookimpl
def register_data_commands(register: RegisterCommand) -> None:
    """Hand over `metai2i data compose` and `metai2i data edges`."""

    def compose() -> click.Command:
        from metai2i_sketches.cli import compose_command

        return compose_command

    def edges() -> click.Command:
        from metai2i_sketches.cli import edges_command

        return edges_command

    register("compose", compose)
    register("edges", edges)
