"""The program's two consoles. They print texts as they are: no name is ever read as markup, an emoji or a control."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from metai2i.console.exits import EXIT_UNREAD, Ended, leave_broken_pipes
from metai2i.console.legible import legible

PIPE_WIDTH = 10_000
"""Columns of a pipe, which has no width: nothing is cut or folded there."""


class PlainConsole(Console):
    """A console for texts with names of others in them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return the text for a string, however it came here: printed, or as a cell of a table."""
        return super().render_str(legible(text), **options)

    def on_broken_pipe(self) -> None:
        """End the program quietly: nobody reads on."""
        leave_broken_pipes()
        raise Ended(EXIT_UNREAD)


def console() -> PlainConsole:
    """Return the console for people: stderr, so that a pipe of stdout stays clean."""
    return PlainConsole(stderr=True, soft_wrap=not sys.stderr.isatty())


def stdout_console() -> PlainConsole:
    """Return the console for results."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    return PlainConsole(width=None if terminal else PIPE_WIDTH)


def speaks_unicode(to: Console) -> bool:
    """Return whether a console's stream can write more than ASCII and its relatives."""
    return to.encoding.lower().startswith("utf")
