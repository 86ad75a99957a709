"""What a plain word of YAML stands for: the core schema of YAML 1.2, in which people read recipes.

YAML 1.1, which PyYAML reads, takes `010` for 8, `1:30` for 90, `1_000` for 1000, `no` for false and `1e-4` for a
string. Here `010` is 10, `1e-4` a number, and the other three are the strings that they look like.
"""

from __future__ import annotations

import math
import re

import yaml

NULL, BOOL, INT, FLOAT, STR = (f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str"))
MERGE = "tag:yaml.org,2002:merge"

PATTERNS = {
    NULL: re.compile(r"(?:~|null|Null|NULL|)\Z"),
    BOOL: re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"),
    INT: re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"),
    FLOAT: re.compile(
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
    ),
}
"""What each kind of plain word looks like; the first that fits counts."""
FIRST = {NULL: ["~", "n", "N", ""], BOOL: list("tTfF"), INT: list("-+0123456789"), FLOAT: list("-+.0123456789")}
"""The letters that each kind may begin with."""
_KINDS = {NULL: "nothing", BOOL: "true or false", INT: "a whole number", FLOAT: "a number"}
LONGEST_SCALAR = 100
"""How many characters a number may have."""

Plain = str | int | float | bool | None


def resolve_scalar(text: str) -> Plain:
    """Return what an unquoted word stands for.

    >>> resolve("010"), resolve("0x1F"), resolve("1e-4"), resolve("no"), resolve("1:30"), resolve("~")
    (10, 31, 0.0001, 'no', '1:30', None)

    Raises:
        ValueError: for a number that cannot be kept, saying why.
    """
    return value_of(next((tag for tag, pattern in PATTERNS.items() if pattern.match(text)), STR), text)


def short(tag: str) -> str:
    """Return a tag as it is written in YAML: `!!int` for `tag:yaml.org,2002:int`."""
    return tag.replace("tag:yaml.org,2002:", "!!")


def value_of(tag: str, text: str) -> Plain:
    """Return a word's value as one kind.

    Args:
        tag: of `PATTERNS`, or `STR`.
        text: as it is written.

    Raises:
        ValueError: when the text is nothing of that kind, or a number that cannot be kept; saying why.
    """
    if tag == STR:
        return text
    if not PATTERNS[tag].match(text):
        raise ValueError(f"got {text!r} behind {short(tag)}, expected {_KINDS[tag]}")
    if tag == NULL:
        return None
    if tag == BOOL:
        return text.lower() == "true"
    if len(text) > LONGEST_SCALAR:
        raise ValueError(f"got a number of {len(text)} characters, expected at most {LONGEST_SCALAR}")
    return whole_number(text) if tag == INT else _number(text)


def whole_number(text: str) -> int:
    """Return a whole number, decimal but for `0o` and `0x`."""
    bases = {"0o": 8, "0x": 16}
    return int(text, bases.get(text[:2], 10))


def _number(text: str) -> float:
    """Return a number.

    Raises:
        ValueError: when it is so large or so small that 0 or infinity would be kept in its place.
    """
    if text[-1] in "fF" or text[-1] in "nN":  # .inf and .nan
        return float(text.replace(".", ""))
    value = float(text)
    mantissa = re.split("[eE]", text)[0]
    if math.isinf(value) or (value == 0 and re.search("[1-9]", mantissa)):
        size = "large" if value else "small"
        raise ValueError(f"got {text}, which is too {size} to be kept as a number")
    return value


def meant_as_number(text: str) -> str | None:
    """Return what to write for a string that YAML 1.1 takes for a number or a truth value; None for others.

    >>> meant_as_number("1_000"), meant_as_number("no"), meant_as_number("fast")
    ('1000', 'false', None)
    """
    if text.lower() in ("yes", "on", "no", "off"):
        return "true" if text.lower() in ("yes", "on") else "false"
    bare = text.replace("_", "")
    is_number = bare != text and (PATTERNS[INT].match(bare) or PATTERNS[FLOAT].match(bare))
    return bare if is_number else None


def teach(reader: type[yaml.SafeLoader], writer: type[yaml.SafeDumper]) -> None:
    """Let a loader know these words alone, and a dumper quote what this or an older reader would take for no string."""
    reader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in kinds if tag == MERGE]
        for first, kinds in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    # An old reader's patterns stand last: a float that YAML 1.2 alone knows is one all the same.
    old = {first: list(kinds) for first, kinds in yaml.SafeDumper.yaml_implicit_resolvers.items()}
    writer.yaml_implicit_resolvers = {}
    for tag, pattern in PATTERNS.items():
        reader.add_implicit_resolver(tag, pattern, FIRST[tag])
        writer.add_implicit_resolver(tag, pattern, FIRST[tag])
    for first, kinds in old.items():
        writer.yaml_implicit_resolvers.setdefault(first, []).extend(kinds)
