"""A checked recipe back to plain data, defaults spelled out: what a run keeps as its `recipe.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_jsonable_python

from metai2i.recipe.schema import Component, Row
from metai2i.registry.options import plain_options


def resolve(header: Mapping[str, Any], rows: Mapping[str, Row]) -> dict[str, Any]:
    """Return the data of a recipe without `extends` and `grid`, in which every row says everything itself."""
    top = {name: to_jsonable_python(value) for name, value in header.items()}
    return {**top, "rows": {name: _row(row) for name, row in rows.items()}}


def _row(row: Row) -> dict[str, Any]:
    return {name: _section(getattr(row, name)) for name in Row.model_fields}


def _section(section: Any) -> Any:
    if isinstance(section, Component):
        fields = section.model_dump(mode="json", exclude={"options"})
        return {**fields, **plain_options(section.options)}
    return plain_options(section) if isinstance(section, dict) else to_jsonable_python(section)
