"""What the reader of YAML found wrong, in the words of somebody who writes recipes."""

from __future__ import annotations

import re

import yaml

from metai2i.errors import Location, UserError

_TOKENS = {
    "<stream end>": "the end of the text",
    "<document start>": "another document",
    "<document end>": "the end of the document",
    "<block sequence start>": "a list further to the right",
    "<block mapping start>": "keys further to the right",
    "<block end>": "the end of the section",
    "<scalar>": "a value",
    "<alias>": "an alias (*)",
    "<anchor>": "an anchor (&)",
    "<tag>": "a type (!)",
    "?": "a key",
    "-": "a list item (-)",
}

_PROBLEMS = {
    r"mapping values are not allowed here": (
        "a key may not stand here",
        "indent the keys of a section alike, and put a text with a colon into quotes",
    ),
    r"sequence entries are not allowed here": ("a list item (-) may not stand here", "it begins a line of its own"),
    r"expected <block end>, but found (.+)": ("expected the next key or list item, got {}", "indent them alike"),
    r"expected '<document start>', but found (.+)": ("expected the end of the value, got {}", None),
    r"expected the node content, but found (.+)": ("expected a value, got {}", None),
    r"(expected ',' or '[]}]'), but got (.+)": ("{}, got {}", None),
    r"found character ('\\t') that cannot start any token": ("a tab may not stand here", "indent with spaces"),
    r"found character (.+) that cannot start any token": ("a value may not begin with {}", "put it into quotes"),
    r"found unexpected end of stream": ("the text ends within quotes", None),
    r"could not find expected ':'": ("expected a colon behind the key", None),
    r"found undefined alias (.+)": ("there is no anchor for the alias {}", None),
    r"but found another document": ("a second document begins here, expected one", "take the line --- out"),
}
"""Patterns of its problems: how each is told, and what to do about it."""

_CONTEXTS = {
    "while parsing a flow sequence": "in the list",
    "while parsing a flow mapping": "in the section",
    "while parsing a block mapping": "in the section",
    "while parsing a block collection": "in the list",
}


def syntax_error(error: yaml.YAMLError, file: str) -> UserError:
    """Return the error of a text that is no YAML, at its place in the file."""
    start = getattr(error, "context_mark", None)
    mark = getattr(error, "problem_mark", None) or start
    where = Location(file, mark.line + 1, mark.column + 1) if mark else Location(file)
    what, hint = in_words(getattr(error, "problem", None) or str(error).partition("\n")[0])
    context = _CONTEXTS.get(getattr(error, "context", None) or "")
    if context and start:
        what += f", {context} that begins in line {start.line + 1}"
    return UserError(f"this is not YAML: {what}", where=where, hint=hint)


def in_words(problem: str) -> tuple[str, str | None]:
    """Return how one of the reader's problems is told, and what to do about it.

    >>> in_words("expected ',' or ']', but got '<stream end>'")
    ("expected ',' or ']', got the end of the text", None)
    """
    for pattern, (what, hint) in _PROBLEMS.items():
        if match := re.fullmatch(pattern, problem):
            return what.format(*map(_token, match.groups())), hint
    return problem, None


def _token(text: str) -> str:
    return _TOKENS.get(text.strip("'"), text)
