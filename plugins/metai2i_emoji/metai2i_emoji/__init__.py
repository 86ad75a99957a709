"""Emoji by different hands as a metai2i task source."""

from __future__ import annotations

from metai2i import Register, hookimpl


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
