"""The JSON Schema of recipes: what loads is accepted, what is misspelt is refused, and plugins are in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from metai2i.recipe.fit import KIND_OF
from metai2i.recipe.json_schema import recipe_schema
from metai2i.recipe.load import TOP
from metai2i.recipe.positions import parse_yaml
from metai2i.recipe.renamed import RENAMED
from metai2i.recipe.schema import Row
from metai2i.registry import Registry
from metai2i.registry.options import describe_options

ROOT = Path(__file__).parents[3]
RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))
INSTALLED = Registry()
SCHEMA = recipe_schema(INSTALLED)
VALIDATOR = Draft202012Validator(SCHEMA)


def faults(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(parse_yaml(text, "recipe.yaml").plain())]


def pointers(schema: Any) -> Iterator[str]:
    for key, value in schema.items() if isinstance(schema, dict) else enumerate(schema):
        if key == "$ref":
            yield value
        elif isinstance(value, dict | list):
            yield from pointers(value)


def test_it_is_a_schema_whose_references_lead_somewhere():
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    places = set(pointers(SCHEMA))
    assert places
    for pointer in places:
        here = SCHEMA
        for part in pointer.removeprefix("#/").split("/"):
            here = here[part]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(ROOT / "recipes")))
def test_every_bundled_recipe_is_accepted(path):
    assert faults(path.read_text()) == []


def test_it_has_every_key_of_a_recipe_and_of_a_row():
    assert set(SCHEMA["properties"]) == {*TOP, *RENAMED}
    assert set(SCHEMA["$defs"]["row"]["properties"]) == {*Row.model_fields, *RENAMED}


def test_an_old_name_of_a_key_is_marked_as_deprecated():
    properties = SCHEMA["$defs"]["row"]["properties"]
    assert {name for name, each in properties.items() if each.get("deprecated")} == set(RENAMED)


@pytest.mark.parametrize("key", KIND_OF)
def test_every_installed_component_is_offered_with_its_options(key):
    section = SCHEMA["$defs"][key]
    components = INSTALLED.components(KIND_OF[key])
    assert [each["const"] for each in section["properties"]["use"]["oneOf"]] == sorted(components)
    for branch in section["allOf"][:-1]:
        options = branch["then"]["properties"]
        component = components[branch["if"]["properties"]["use"]["const"]]
        described = {option.name: option for option in describe_options(component)}
        fields = {"use", "k"} if key == "retriever" else {"use"}
        assert set(options) == {*described, *fields}
        for name, option in described.items():
            assert options[name]["description"] == option.doc


def test_an_option_has_its_type_default_and_choices():
    (branch,) = [
        b for b in SCHEMA["$defs"]["strategy"]["allOf"] if b["if"].get("properties") == {"use": {"const": "bil"}}
    ]
    order = branch["then"]["properties"]["order"]
    assert (order["enum"], order["default"]) == (["first", "second"], "first")
    assert branch["then"]["properties"]["steps"]["type"] == "integer"


GOOD = [
    "{}",
    "translator: {width: 8}",  # what is named elsewhere
    "strategy: {use: bil, steps: 3, order: second}",
    "retriever: null\naugment: null\nlooks: null\ntune: null\nfurther: null",
    "looks: {}\nrows: {A: {looks: null}, B: {looks: {hue: 0.1}}}",
    "rows: {A: , B: {adapt: {lr: 1e-4}, retriever: null, baseline: A}}",
    "grid: {axes: {adapt.lr: [1e-4, 1e-3], strategy: [{use: bil}]}, name: '{adapt.lr}'}",
    "pretrain: {iterations: {coarse: 3, refine: 4}, betas: [0.5, 0.9]}",
    "figures: {One: {columns: [structure, general: A, truth]}}\ncompare: {metric: ssim}",
    "extends: other.yaml\nname: my-run.1\nseed: 3\nplugins: mine",
    "tasks: {use: scenes, size: [64, 64]}\nevaluate: {metrics: [lpips, face_parts_l1]}",
]
BAD = {
    "trnslator: {use: pix2pix}": "trnslator",
    "translator: {use: pix2pxi}": "pix2pxi",
    "translator: {use: pix2pix, widht: 8}": "widht",
    "translator: {use: pg2, norm: batch}": "norm",  # an option of another
    "translator: {nothing: 8}": "nothing",
    "translator: {use: pix2pix, width: '8'}": "'8'",
    "translator: pix2pix": "pix2pix",
    "adapt: {iteration: 8}": "iteration",
    "adapt: {optimizer: sdg}": "sdg",
    "adapt: {lr: 0}": "0",
    "rows: {A: {adpat: {lr: 1}}}": "adpat",
    "rows: {A: {strategy: {use: bil, stpes: 2}}}": "stpes",
    "rows: {A: {seed: 1}}": "seed",
    "baseline: A": "baseline",
    "objective: {l2: 1}": "l2",
    "grid: {axs: {adapt.lr: [1]}}": "axs",
    "grid: {axes: {adapt.lr: 1}}": "1",
    "evaluate: {metrics: [lpisp]}": "lpisp",
    "compare: {metric: lpisp}": "lpisp",
    "name: no name": "no name",
    "seed: 1.5": "1.5",
    "figures: {One: {colums: [truth]}}": "colums",
}


@pytest.mark.parametrize("text", GOOD)
def test_what_may_be_written_is_accepted(text):
    assert faults(text) == []


@pytest.mark.parametrize("text", BAD)
def test_what_is_misspelt_or_out_of_range_is_refused(text):
    errors = faults(text)
    assert errors
    assert BAD[text] in " ".join(errors)


def test_a_plugin_of_a_folder_is_in_it(toys):
    validator = Draft202012Validator(recipe_schema(Registry([toys])))
    for text, wrong in (("{use: line, width: 3, norm: batch}", 0), ("{use: line, norm: bacth}", 1), ("{use: lien}", 1)):
        recipe = parse_yaml(f"translator: {text}", "r.yaml").plain()
        assert bool(list(validator.iter_errors(recipe))) == bool(wrong)


def test_an_option_of_a_type_that_json_schema_cannot_say_is_left_open(tmp_path):
    (tmp_path / "odd.py").write_text(
        "from collections.abc import Callable\nimport metai2i\n"
        "class Odd(metai2i.Retriever):\n"
        '    """Odd.\n\n    Args:\n        by: a function.\n    """\n'
        "    def __init__(self, *, by: Callable[[int], int]) -> None: ...\n"
        "    def index(self, tasks): ...\n    def query(self, support, k): ...\n"
        "@metai2i.hookimpl\ndef register_retrievers(register):\n    register('odd', Odd)\n"
    )
    schema = recipe_schema(Registry([tmp_path]))
    (branch,) = [
        b for b in schema["$defs"]["retriever"]["allOf"] if b["if"].get("properties") == {"use": {"const": "odd"}}
    ]
    assert branch["then"]["properties"]["by"] == {"description": "a function."}
