"""Faces with region maps as a metai2i task source, and their preparation from videos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metai2i import Register, hookimpl

if TYPE_CHECKING:
    import rich_click as click

    from metai2i import RegisterCommand


@hookimpl
def register_task_sources(register: Register) -> None:
    """Hand over `Faces`."""
    from metai2i_faces.faces import Faces

    register("faces", Faces)


@hookimpl
def register_metrics(register: Register) -> None:
    """Hand over `FacePartsL1` and `FaceLandmarks`."""
    from metai2i_faces.metrics import FaceLandmarks, FacePartsL1

    register("face_parts_l1", FacePartsL1)
    register("face_landmarks", FaceLandmarks)


@hookimpl
def register_data_commands(register: RegisterCommand) -> None:
    """Hand over `metai2i data faces`."""

    def command() -> click.Command:
        from metai2i_faces.cli import prepare_command

        return prepare_command

    register("faces", command)
