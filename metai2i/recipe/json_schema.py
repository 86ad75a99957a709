"""Recipes as a JSON Schema (2020-12), with the options of every component that is installed: for editors.

A schema sees one file and no merging: whatever a recipe may take from `extends`, from its own sections or from the
command line is not required here. `metai2i validate` checks all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import cleandoc
from typing import Any

from pydantic import BaseModel

from metai2i.recipe import schema as models
from metai2i.recipe.fit import KIND_OF
from metai2i.recipe.renamed import RENAMED
from metai2i.recipe.rows import host_classes
from metai2i.recipe.schema import SLUG, Header, RetrieverComponent, Row
from metai2i.registry import Registry
from metai2i.registry.options import options_schema, parse_arguments, summary

Json = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "A recipe of metai2i"
WRITTEN = {
    "extends": "another recipe, relative to this one, that is taken as the base",
    "rows": "the lines of the table, `NAME: {sections}`; `NAME:` alone changes nothing",
    "grid": "rows spelled out from the product of several axes",
}
"""What is written in a recipe and is gone when it has been read."""
_METRICS = (("Evaluate", "metrics"), ("Tune", "metric"), ("Compare", "metric"))
"""Keys that name metrics."""


def recipe_schema(registry: Registry) -> Json:
    """Return the schema of recipes whose components are those of a registry.

    Args:
        registry: opened for all that it has; what is broken is left out.
    """
    row, header = _shapes(Row), _shapes(Header)
    definitions = {**row.pop("$defs"), **header.pop("$defs")}
    for name in ("Component", "RetrieverComponent"):
        del definitions[name]
    for model, key in _METRICS:
        name_metrics(definitions[model]["properties"][key], sorted(registry.components("metric")))
    for key, kind in KIND_OF.items():
        put(definitions, key, component_schema(key, registry.components(kind)))
    for key, host_class in host_classes().items():
        put(definitions, key, options_schema(host_class, f"#/$defs/{key}.{{model}}"))
    sections = row["properties"]
    for key in (*KIND_OF, *host_classes()):
        sections[key] = or_null({"$ref": f"#/$defs/{key}"}, optional=key in ("augment", "colour_jitter", "retriever"))
    sections |= {old: {**sections[new], "deprecated": True} for old, new in RENAMED.items()}
    header["properties"]["name"]["pattern"] = f"^{SLUG}$"
    shared = {key: {"$ref": f"#/$defs/row/properties/{key}"} for key in sections if key != "baseline"}
    definitions["row"] = {**row, "description": "One line of an ablation table: what it says itself, merged over all."}
    return {
        "$schema": DIALECT,
        "title": TITLE,
        "type": "object",
        "additionalProperties": False,
        "properties": {**header["properties"], **written(), **shared},
        "$defs": {name: without_titles(each) for name, each in definitions.items()},
    }


def written() -> Json:
    """Return the schema of `extends`, `rows` and `grid`."""
    rows = {"type": "object", "minProperties": 1, "additionalProperties": or_null({"$ref": "#/$defs/row"})}
    axes = {"type": "object", "minProperties": 1, "additionalProperties": {"type": "array", "minItems": 1}}
    grid = {
        "type": "object",
        "additionalProperties": False,
        "required": ["axes"],
        "properties": {
            "axes": {**axes, "description": "lists of values, by paths such as adapt.lr"},
            "name": {"type": "string", "description": "what the rows are called; {PATH} stands for the value there"},
        },
    }
    schemas: Json = {"extends": {"type": "string"}, "rows": rows, "grid": grid}
    return {name: {**schemas[name], "description": said} for name, said in WRITTEN.items()}


def component_schema(key: str, components: Mapping[str, type]) -> Json:
    """Return a section that names a component (`use`) and has its options beside it.

    Where `use` stands, the options are those of the component that it names. A row may change single options of what
    the recipe names for all: without `use`, they may be those of any.

    Args:
        key: the section.
        components: those that can be named.
    """
    host = _shapes(RetrieverComponent)["properties"] if key == "retriever" else {}
    properties = {name: schema for name, schema in host.items() if name != "options"}
    schemas = {
        name: options_schema(component, f"#/$defs/{key}.{name}.{{model}}") for name, component in components.items()
    }
    shared: Json = {}
    for name, options in schemas.items():
        for model, schema in options.pop("$defs", {}).items():
            shared[f"{name}.{model}"] = schema
    known = [{"const": name, "description": _in_short(component)} for name, component in sorted(components.items())]
    properties["use"] = {"description": f"which one: `metai2i plugins` lists them ({key})", "oneOf": known}
    every: dict[str, list[Json]] = {}
    for options in schemas.values():
        for option, schema in options["properties"].items():
            alternatives = every.setdefault(option, [])
            alternatives += [schema] if schema not in alternatives else []
    anyones = {name: each[0] if len(each) == 1 else {"anyOf": each} for name, each in every.items()}
    plain = dict.fromkeys(properties, True)
    branches = [
        choice({"properties": {"use": {"const": name}}, "required": ["use"]}, {**options["properties"], **plain})
        for name, options in sorted(schemas.items())
    ]
    branches.append(choice({"not": {"required": ["use"]}}, {**anyones, **plain}))
    return {"type": "object", "properties": properties, "allOf": branches, "$defs": shared}


def choice(condition: Json, properties: Json) -> Json:
    """Return where a condition holds, a section has these keys and no others."""
    return {"if": condition, "then": {"properties": properties, "additionalProperties": False}}


def put(definitions: Json, name: str, schema: Json) -> None:
    """Add a schema, and beside it those that it refers to."""
    for inner, each in schema.pop("$defs", {}).items():
        definitions[f"{name}.{inner}"] = each
    definitions[name] = {k: v for k, v in schema.items() if k != "required"}


def name_metrics(schema: Json, names: list[str]) -> None:
    """Say which metrics there are, for a key that names one or a list of them."""
    (schema["items"] if schema.get("type") == "array" else schema)["enum"] = names


def _shapes(model: type[BaseModel]) -> Json:
    """Return a model's schema with what docstrings say of each key; nothing is required, since pieces are merged."""
    whole = model.model_json_schema(ref_template="#/$defs/{model}")
    for name, each in (("", whole), *whole.get("$defs", {}).items()):
        owner = getattr(models, name) if name else model
        docs = parse_arguments(owner.__doc__ or "")
        each.pop("required", None)
        each["description"] = _in_short(owner)
        for key, schema in each["properties"].items():
            if key in docs:
                schema["description"] = docs[key]
    return whole


def _in_short(owner: type) -> str:
    """Return the first paragraph of a docstring, on one line."""
    return " ".join(cleandoc(summary(owner)).partition("\n\n")[0].split())


def or_null(schema: Json, *, optional: bool = True) -> Json:
    """Return a schema, or null where a section may be turned off."""
    return {"anyOf": [schema, {"type": "null"}]} if optional else schema


def without_titles(schema: Any) -> Any:
    """Return a schema without the titles that pydantic makes of the names of keys, which only repeat them."""
    if isinstance(schema, list):
        return [without_titles(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {k: without_titles(v) for k, v in schema.items() if not (k == "title" and isinstance(v, str))}
