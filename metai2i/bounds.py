"""Ranges of numbers in recipes: both ends, so that a slip of the keyboard or of a script is told and not computed with.

A plugin may use them as types of its options, or write ranges of its own: `Annotated[int, Field(ge=1, le=9)]`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from metai2i.errors import UserError
from metai2i.registry.problems import Loc, Problem, explain, show

Count = Annotated[int, Field(ge=1, le=10**6)]
"""How many there are of something: samples, scenes, channels."""
Whole = Annotated[int, Field(ge=0, le=10**6)]
"""How many there are of something that there may be none of."""
Iterations = Annotated[int, Field(ge=0, le=10**9)]
"""How often something is done; 0 for not at all."""
Positive = Annotated[float, Field(gt=0, le=1e9)]
"""A learning rate, or the norm at which gradients are clipped."""
Weight = Annotated[float, Field(ge=0, le=1e9)]
"""A factor of a loss; 0 turns it off."""
Share = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole."""
Kept = Annotated[float, Field(gt=0, le=1)]
"""How much of something is kept."""
Degrees = Annotated[float, Field(ge=0, le=180)]
"""An angle, to either side."""
Side = Annotated[int, Field(ge=1, le=2**14)]
"""Height or width of photographs, in pixels."""
Seed = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""Where randomness starts."""

LARGEST_WHOLE = 2**63 - 1
"""The largest size of a whole number whose option says no range."""
LARGEST_REAL = 1e30
"""The largest size of any other number whose option says no range; its square fits into 64 bits, itself into 32."""


def out_of_range(data: Any, *loc: str | int) -> Iterator[Problem]:
    """Tell of the numbers that are infinite, NaN or larger than any setting, however deep they stand.

    Args:
        data: a value, or values in lists, tuples, sets and mappings.
        loc: where it stands.
    """
    if isinstance(data, Mapping):
        for name, value in data.items():
            yield from out_of_range(value, *loc, name)
    elif isinstance(data, list | tuple | set | frozenset):
        for place, value in enumerate(data):
            yield from out_of_range(value, *loc, place)
    elif isinstance(data, float) and not math.isfinite(data):
        yield _problem(loc, data, "a finite number")
    elif isinstance(data, float) and abs(data) > LARGEST_REAL:
        yield _problem(loc, data, f"a number from {-LARGEST_REAL:g} to {LARGEST_REAL:g}")
    elif isinstance(data, int) and not isinstance(data, bool) and abs(data) > LARGEST_WHOLE:
        yield _problem(loc, data, f"a whole number from {-LARGEST_WHOLE:,} to {LARGEST_WHOLE:,}")


def check_range(name: str, value: Any, kind: Any) -> None:
    """Refuse a value that is not of its option's type, in the words in which a recipe's mistakes are told.

    Args:
        name: the option with its section, such as `strategy.steps`.
        kind: a type of this module or any other that pydantic checks.

    Raises:
        UserError: `strategy.steps: got 0, expected at least 1`.
    """
    problems = list(out_of_range(value))
    if not problems:
        try:
            TypeAdapter(kind).validate_python(value)
        except ValidationError as error:
            problems = explain(error, value)
    if problems:
        first = problems[0].under(name)
        raise UserError(first.sentence(), hint=first.hint)


def bounded(schema: Any) -> Any:
    """Return a JSON Schema whose numbers all have two ends: their own, or those of `out_of_range`."""
    if isinstance(schema, list):
        return [bounded(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    ends = {"integer": LARGEST_WHOLE, "number": LARGEST_REAL}
    most = ends.get(schema["type"]) if isinstance(schema.get("type"), str) else None
    limited = {key: bounded(value) for key, value in schema.items()}
    if most is not None and not {"enum", "const"} & limited.keys():
        if not {"minimum", "exclusiveMinimum"} & limited.keys():
            limited["minimum"] = -most
        if not {"maximum", "exclusiveMaximum"} & limited.keys():
            limited["maximum"] = most
    return limited


def _problem(loc: Loc, value: float, expected: str) -> Problem:
    return Problem(loc, f"got {show(value)}, expected {expected}")
