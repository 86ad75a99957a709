"""Emoji by different hands as a metai2i task source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metai2i import Register, hookimpl

if TYPE_CHECKING:
    import rich_click as click

    from metai2i import RegisterCommand


@hookimpl
def register_task_sources(register: Register) -> None:
    """Hand over `Emoji`, `EmojiLabelled`, `EmojiSketches` and `EmojiTwins`."""
    from metai2i_emoji.labelled import EmojiLabelled
    from metai2i_emoji.sketches import EmojiSketches
    from metai2i_emoji.source import Emoji
    from metai2i_emoji.twins import EmojiTwins

    register("emoji", Emoji)
    register("emoji_labelled", EmojiLabelled)
    register("emoji_sketches", EmojiSketches)
    register("emoji_twins", EmojiTwins)


@hookimpl
def register_data_commands(register: RegisterCommand) -> None:
    """Hand over `metai2i data emoji-scenes`."""

    def command() -> click.Command:
        from metai2i_emoji.cli import scenes_command

        return scenes_command

    register("emoji-scenes", command)
