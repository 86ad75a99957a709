"""Every number of a recipe has two ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from metai2i.bounds import LARGEST_WHOLE, bounded, out_of_range
from metai2i.recipe.fit import KIND_OF
from metai2i.recipe.json_schema import recipe_schema
from metai2i.recipe.rows import host_classes
from metai2i.recipe.schema import Header, Row
from metai2i.registry import Registry
from metai2i.registry.options import option_problems, options_schema

INSTALLED = Registry()
COMPONENTS = [(kind, name) for kind in KIND_OF.values() for name in INSTALLED.components(kind)]


def endless(schema: Any, path: str = "") -> Iterator[str]:
    """Where a schema has a number without two ends."""
    if isinstance(schema, dict):
        low, high = ({"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"})
        some = {"enum", "const"} & schema.keys()  # a few numbers, each as it stands
        ends = low & schema.keys() and high & schema.keys()
        if schema.get("type") in ("integer", "number") and not some and not ends:
            yield path
        for key, value in schema.items():
            yield from endless(value, f"{path}/{key}")
    elif isinstance(schema, list):
        for place, value in enumerate(schema):
            yield from endless(value, f"{path}/{place}")


@pytest.mark.parametrize("model", [Row, Header])
def test_every_number_of_the_schema_has_two_ends_of_its_own(model):
    assert list(endless(model.model_json_schema())) == []


def test_every_number_that_an_editor_is_told_of_has_two_ends():
    assert list(endless(recipe_schema(INSTALLED))) == []


@pytest.mark.parametrize(("kind", "name"), COMPONENTS, ids=lambda part: part)
def test_no_option_of_a_component_takes_a_number_without_end(kind, name):
    assert_finite(INSTALLED.get(kind, name))


@pytest.mark.parametrize("key", host_classes())
def test_no_option_of_the_core_s_own_classes_takes_a_number_without_end(key):
    assert_finite(host_classes()[key])


def assert_finite(component: type) -> None:
    schema = options_schema(component)
    assert list(endless(schema)) == []
    for option in schema["properties"]:
        for number in (float("inf"), float("-inf"), float("nan"), 1e300, 10**31, -(10**31)):
            assert [p for p in option_problems(component, {option: number}) if p.loc[:1] == (option,)], (option, number)


def test_numbers_are_looked_for_however_deep_they_stand():
    data = {"a": [1, 2.5, True, {"b": (float("inf"), 10**30)}], "c": frozenset({float("nan")}), "d": "1e999"}
    assert [(problem.loc, problem.what) for problem in out_of_range(data, "x")] == [
        (("x", "a", 3, "b", 0), "got .inf, expected a finite number"),
        (("x", "a", 3, "b", 1), f"got {10**30}, expected a whole number from {-LARGEST_WHOLE:,} to {LARGEST_WHOLE:,}"),
        (("x", "c", 0), "got .nan, expected a finite number"),
    ]


def test_ends_of_its_own_are_left_to_a_number():
    schema = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "number", "exclusiveMaximum": 2}, {"type": "null"}]}
    assert bounded(schema)["anyOf"] == [
        {"type": "integer", "minimum": 1, "maximum": LARGEST_WHOLE},
        {"type": "number", "exclusiveMaximum": 2, "minimum": -1e30},
        {"type": "null"},
    ]
