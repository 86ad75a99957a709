"""Names of others (rows, scenes, files) as they may be shown: what steers a terminal or is not seen is spelled out."""

from __future__ import annotations

import re

_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f"
_DIRECTIONS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # turn the rest of a line round
_BREAKS = "\u2028\u2029"
_SURROGATES = "\ud800-\udfff"  # what Python makes of bytes that are no UTF-8
_HIDDEN = re.compile(f"[{_CONTROLS}{_DIRECTIONS}{_BREAKS}{_SURROGATES}\ufeff]")
_HIDDEN_OR_BREAKING = re.compile(f"[\t\n{_HIDDEN.pattern[1:-1]}]")


def legible(text: str) -> str:
    r"""Return a text with its control characters and lone surrogates as escapes; line ends and tabs stay.

    >>> legible("a\x1b[31m b\udce9")
    'a\\x1b[31m b\\udce9'
    """
    return _HIDDEN.sub(_escaped, text)


def on_one_line(text: str) -> str:
    r"""Return a text that keeps to its line: as `legible`, with line ends and tabs as escapes too.

    >>> on_one_line("a\nb")
    'a\\nb'
    """
    return _HIDDEN_OR_BREAKING.sub(_escaped, text)


def legible_json(text: str) -> str:
    r"""Return JSON that says the same without control characters and lone surrogates.

    >>> legible_json('"a\x9b31m b"')
    '"a\\u009b31m b"'
    """
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
