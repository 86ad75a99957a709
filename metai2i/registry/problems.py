"""What pydantic found wrong, put into words: what was got, what was expected, and the nearest name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, to_json

from metai2i.errors import counted, did_you_mean
from metai2i.recipe.scalars import meant_as_number

Loc = tuple[str | int, ...]
"""Where in nested data something stands: keys and list indices, from the outside in."""

M = TypeVar("M", bound=BaseModel)

Known = Mapping[Loc, Iterable[str]]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in nested data.

    Args:
        loc: the value (or, with `on_key`, the key, which may be a missing one) that it is about.
        what: what is wrong, without saying where.
        hint: what to do about it.
        on_key: whether it is about the key rather than its value.
        wants_text: whether a string would have been right.
    """

    loc: Loc
    what: str
    hint: str | None = None
    on_key: bool = False
    wants_text: bool = False

    def under(self, *prefix: str | int) -> Problem:
        """Return the same problem in data that stands deeper."""
        return replace(self, loc=(*prefix, *self.loc))

    def sentence(self) -> str:
        """Return where and what: `adapt.iterations: got 'many', expected a whole number`."""
        loc = self.loc[:-1] if self.on_key else self.loc
        return f"{'.'.join(map(str, loc))}: {self.what}" if loc else self.what


_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a string",
    "path_type": "a path",
    "none_required": "null",
    "dict_type": "a section (key: value)",
    "model_type": "a section (key: value)",
    "model_attributes_type": "a section (key: value)",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
}

_LIMITS = {
    "literal_error": "{expected}",
    "enum": "{expected}",
    "multiple_of": "a multiple of {multiple_of}",
}

_LENGTHS = {"too_long": ("max_length", "at most"), "too_short": ("min_length", "at least")}

TEXT = ("string_type", "path_type")
"""What pydantic calls it when a string would have been right."""

_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def show(value: object) -> str:
    """Return a value as a reader of YAML knows it, short.

    >>> show(True), show(None), show("5"), show([1, 2]), show({}), show(float("-inf"))
    ('true', 'null', "the string '5'", '[1, 2]', 'an empty section', '-.inf')
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f"the string {_short(repr(value))}"
    if isinstance(value, Mapping):
        return f"a section with {_short(', '.join(map(str, value)))}" if value else "an empty section"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value).replace("inf", ".inf").replace("nan", ".nan")
    return _short(repr(value))


def _short(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def explain(error: ValidationError, data: Any, known: Known | None = None, noun: str = "key") -> list[Problem]:
    """Return the problems in a validation error.

    Args:
        error: what pydantic raised.
        data: the data that it was raised for.
        known: the names that may stand in each section, by the section's location.
        noun: what such a name is called: "key" or "option".
    """
    details = [(_clean(detail, data), detail) for detail in error.errors(include_url=False)]
    grouped: dict[Loc, list[ErrorDetails]] = {}
    for loc, detail in details:
        # A union tells of every branch; only those that got furthest into the data are of interest.
        if not any(len(other) > len(loc) and other[: len(loc)] == loc for other, _ in details):
            grouped.setdefault(loc[:-1] if _lacks_item(loc, detail) else loc, []).append(detail)
    return [_problem(loc, group, known or {}, noun) for loc, group in grouped.items()]


def first_problem(error: ValidationError, data: Any, *under: str) -> str:
    """Return the first of the problems in a validation error, with its place: `spec.size: got [3], expected 2 items`.

    Args:
        under: where the data stands.
    """
    return explain(error, data)[0].under(*under).sentence()


def validated(model: type[M], data: Any, words: Mapping[Loc, str]) -> M:
    """Validate plain data as a model, strictly; numbers, `true` and `null` where a string is right count as they are
    typed.

    Args:
        words: how such values are typed, by their locations; empty for those that are told instead.

    Raises:
        ValidationError: for the data as given.
    """
    try:
        return model.model_validate_json(to_json(data, inf_nan_mode="constants"))
    except ValidationError as error:
        details = [_clean(detail, data) for detail in error.errors(include_url=False) if detail["type"] in TEXT]
        wanted = {loc: words[loc] for loc in details if loc in words}
        if not wanted:
            raise
        return model.model_validate_json(to_json(_with(data, wanted), inf_nan_mode="constants"))


def _with(data: Any, words: Mapping[Loc, str], loc: Loc = ()) -> Any:
    if loc in words:
        return words[loc]
    if isinstance(data, Mapping):
        return {name: _with(value, words, (*loc, name)) for name, value in data.items()}
    return [_with(value, words, (*loc, n)) for n, value in enumerate(data)] if isinstance(data, list) else data


def known_names(model: type[BaseModel], *prefix: str) -> dict[Loc, list[str]]:
    """Return the names that may stand in a model's sections, its own and those inside it."""
    names: dict[Loc, list[str]] = {prefix: list(model.model_fields)}
    for name, field in model.model_fields.items():
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                names |= known_names(part, *prefix, name)
    return names


def _clean(detail: ErrorDetails, data: Any) -> Loc:
    """Return the location without the names of union branches, which pydantic puts in between."""
    loc: list[str | int] = []
    for i, part in enumerate(detail["loc"]):
        missing = detail["type"] == "missing" and i == len(detail["loc"]) - 1
        if _has(data, part):
            data = data[part]
            loc.append(part)
        elif missing:
            loc.append(part)
    return tuple(loc)


def _lacks_item(loc: Loc, detail: ErrorDetails) -> bool:
    """Return whether a list is too short, of which each item that it lacks is told apart."""
    return detail["type"] == "missing" and isinstance(loc[-1], int)


def _has(data: Any, part: str | int) -> bool:
    if isinstance(data, Mapping):
        return part in data
    return isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)


def _problem(loc: Loc, details: list[ErrorDetails], known: Known, noun: str) -> Problem:
    first = details[0]
    if first["type"] == "extra_forbidden":
        hint = did_you_mean(str(loc[-1]), known.get(loc[:-1], ()))
        return Problem(loc, f"unknown {noun} {str(loc[-1])!r}", hint, on_key=True)
    if first["type"] == "missing" and isinstance(first["loc"][-1], int):
        wanted = max(at for detail in details if isinstance(at := detail["loc"][-1], int)) + 1
        return Problem(loc, f"got {show(first['input'])}, expected {counted(wanted, 'item')}")
    if first["type"] == "missing":
        return Problem(loc, f"{noun} {str(loc[-1])!r} is missing", on_key=True)
    if first["type"] in ("value_error", "assertion_error"):
        return Problem(loc, str(first.get("ctx", {}).get("error", first["msg"])))
    expected = " or ".join(dict.fromkeys(_expected(detail) for detail in details))
    choices = [name for detail in details for name in _choices(detail)]
    near = did_you_mean(first["input"], choices) if isinstance(first["input"], str) and choices else None
    hint = near if near and near.startswith("did") else _meant(details)
    wants_text = any(detail["type"] in TEXT for detail in details)
    return Problem(loc, f"got {show(first['input'])}, expected {expected}", hint, wants_text=wants_text)


def _meant(details: list[ErrorDetails]) -> str | None:
    """Return what to write for `5.0` as a whole number, and for what older readers of YAML take for numbers."""
    given = details[0]["input"]
    if isinstance(given, float) and given.is_integer() and abs(given) < 1e15:
        return f"write {given:.0f}" if any(detail["type"] == "int_type" for detail in details) else None
    meant = meant_as_number(given) if isinstance(given, str) else None
    wanted = "bool_type" if meant in ("true", "false") else ("int_type", "float_type")
    return f"write {meant}" if meant and any(detail["type"] in wanted for detail in details) else None


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _choices(detail: ErrorDetails) -> list[str]:
    return re.findall(r"'([^']*)'", detail["ctx"]["expected"]) if detail["type"] == "literal_error" else []


def _expected(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"{words} {_number(context[key])}"
    if kind in _LENGTHS:
        key, words = _LENGTHS[kind]
        return f"{words} {counted(context[key], 'item')}"
    return _LIMITS[kind].format(**context) if kind in _LIMITS else f"something else: {detail['msg']}"
