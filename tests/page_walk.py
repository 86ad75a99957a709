"""A page of the docs that is walked: the files that it shows, and its commands in their order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[1] / "docs"


class Walk(NamedTuple):
    """What a page has a reader write and type.

    Args:
        text: the page.
        files: by the name in their first line.
        commands: the words behind `$ metai2i`.
    """

    text: str
    files: dict[str, str]
    commands: list[list[str]]


def walk_of(page: str) -> Walk:
    """The walk of a page, by its name in docs/."""
    text = (DOCS / page).read_text()
    files = re.findall(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    commands = re.findall(r"^\$ metai2i (.*)$", text, re.MULTILINE)
    return Walk(text, dict(files), [shlex.split(line) for line in commands])
