"""Paths as people type them at the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from metai2i.data.places import expanded


class UserPath(click.Path):
    """A path in which a leading `~` stands for the home folder, also behind `--out=`, where no shell expands it."""

    def __init__(self, **kinds: Any) -> None:
        super().__init__(path_type=Path, **kinds)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; refuse an empty one, which would be the current folder."""
        if value == "":
            self.fail("got an empty path (a shell variable that is not set?); . is the current folder", param, ctx)
        return super().convert(expanded(value) if isinstance(value, str) else value, param, ctx)
