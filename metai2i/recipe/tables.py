"""The tables of a recipe's keys, as `docs/recipes.md` has them: made of the schema and its docstrings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from metai2i.recipe.fit import KIND_OF
from metai2i.recipe.json_schema import WRITTEN
from metai2i.recipe.rows import host_classes
from metai2i.recipe.schema import Compare, Figure, Header, RetrieverComponent, Row
from metai2i.registry.marked_tables import markdown_table, with_fresh_tables
from metai2i.registry.options import describe_options, parse_arguments

Line = tuple[str, str, str]
"""A key, its default as it is written, and what it means."""

OWN_DEFAULTS = {"name": "the file's stem", "description": "empty", "extends": "none", "grid": "none"}
OWN_DEFAULTS |= {"rows": "one row, called as the recipe"}
"""Defaults that are not a value."""


def refreshed(page: str) -> str:
    """Return a page with each table between `<!-- keys: NAME -->` and `<!-- end of keys -->` made anew.

    Raises:
        UserError: for a name that no table has.
    """
    return with_fresh_tables(page, "keys", tables())


def tables() -> dict[str, str]:
    """Return all tables, by name: `recipe` for what is said once, `row` for what a row alone says, `values` for what is
    no section, `figure`, and the sections by their names.
    """
    built = host_classes()
    contents = {"recipe": said_once(), "row": lines_of(Row, ["baseline"]), "figure": lines_of(Figure), "values": []}
    contents["retriever"] = lines_of(RetrieverComponent, ["use", "k"])
    for name, field in Row.model_fields.items():
        section = section_of(field)
        if name in built:
            contents[name] = [
                (option.name, f"`{option.default}`", option.doc) for option in describe_options(built[name])
            ]
        elif section is None and name != "baseline":
            contents["values"] += lines_of(Row, [name])
        elif section is not None and name not in KIND_OF:
            contents[name] = lines_of(section)
    return {name: markdown_table(("key", "default", "meaning"), lines) for name, lines in contents.items()}


def said_once() -> list[Line]:
    """Return what stands in a recipe beside the sections."""
    compare = [(f"compare.{key}", default, said) for key, default, said in lines_of(Compare)]
    head = lines_of(Header, ["name", "description", "seed", "plugins"])
    written = [(key, OWN_DEFAULTS[key], said) for key, said in WRITTEN.items()]
    return [*head, *written, *compare, *lines_of(Header, ["figures"])]


def lines_of(model: type[BaseModel], keys: Iterable[str] | None = None) -> list[Line]:
    """Return some keys of a section, or all of them."""
    docs, own_defaults = parse_arguments(model.__doc__ or ""), OWN_DEFAULTS if model is Header else {}
    return [
        (key, own_defaults.get(key) or default_of(model.model_fields[key]), docs.get(key, ""))
        for key in (model.model_fields if keys is None else keys)
    ]


def default_of(field: FieldInfo) -> str:
    """Return a default as YAML has it, in backticks."""
    if field.is_required():
        return "required"
    default: Any = field.get_default(call_default_factory=True)
    if field.annotation is float:
        default = float(default)
    return f"`{as_yaml(default)}`"


def as_yaml(value: Any) -> str:
    """Return a plain value in YAML's words."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"[{', '.join(map(as_yaml, value))}]" if isinstance(value, tuple) else str(value)


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a section, which may be optional; None for what is no section."""
    return next(models_in(field.annotation), None)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a type speaks of, however deep they stand in it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)
