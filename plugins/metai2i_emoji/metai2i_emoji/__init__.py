"""Emoji by different hands as a metai2i task source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metai2i import Register, hookimpl

if TYPE_CHECKING:
    import rich_click as click

    from metai2i import RegisterCommand


@hookimpl
def register_task_sources(register: Register) -> None:
    """Hand over `Emoji` and `EmojiSketches`."""
    from metai2i_emoji.sketches import EmojiSketches
    from metai2i_emoji.source import Emoji

    register("emoji", Emoji)
    register("emoji_sketches", EmojiSketches)


@hookimpl
def register_data_commands(register: RegisterCommand) -> None:
    """Hand over `metai2i data emoji-scenes`."""

    def command() -> click.Command:
        from metai2i_emoji.cli import scenes_command

        return scenes_command

    register("emoji-scenes", command)
