"""What the host hands to plugins, as the tables of `docs/interfaces.md`: made of the classes and their docstrings."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Iterable
from typing import Any

from metai2i.batch import Batch
from metai2i.field import Field
from metai2i.registry.marked_tables import markdown_table, with_fresh_tables
from metai2i.registry.options import parse_arguments, type_text
from metai2i.tasks import Episode, Task, TaskSpec
from metai2i.translator import Step


def refreshed_fields(page: str) -> str:
    """Return a page with each table between `<!-- fields: NAME -->` and `<!-- end of fields -->` made anew.

    Raises:
        UserError: for a name that no table has.
    """
    return with_fresh_tables(page, "fields", field_tables())


def field_tables() -> dict[str, str]:
    """Return all tables, by the names of their classes."""
    plain = {documented.__name__: of_dataclass(documented) for documented in (TaskSpec, Field, Episode, Step)}
    return plain | {"Batch": of_batch(), "Task": of_task()}


def of_dataclass(documented: type) -> str:
    """Return the table of a dataclass's fields: type, default and meaning."""
    docs, types = parse_arguments(documented.__doc__ or ""), typing.get_type_hints(documented)
    fields: Iterable[dataclasses.Field[Any]] = dataclasses.fields(documented)
    lines = [(field.name, f"`{type_text(types[field.name])}`", _default(field), docs[field.name]) for field in fields]
    return markdown_table(("field", "type", "default", "meaning"), lines)


def of_batch() -> str:
    """Return the table of the fields that have a meaning for the host, as `Batch` tells them."""
    lines = re.findall(r"^`(\w+)` +(\(.*?\) \w+) +(.*)$", inspect.cleandoc(Batch.__doc__ or ""), re.MULTILINE)
    return markdown_table(("field", "shape and type", "meaning"), lines)


def of_task() -> str:
    """Return the table of what a scene has: what a source writes, and what follows from it."""
    methods = {name: method for name, method in vars(Task).items() if inspect.isfunction(method)}
    lines = [("id", "yes", "its name, of which no other scene of the split has one like it")]
    for name, method in methods.items():
        first = inspect.cleandoc(method.__doc__ or "").partition("\n\n")[0]
        lines.append((name, "yes" if getattr(method, "__isabstractmethod__", False) else "no", " ".join(first.split())))
    return markdown_table(("member", "to be written", "meaning"), lines)


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return "made anew"
    if field.default is dataclasses.MISSING:
        return "required"
    if isinstance(field.default, frozenset):
        return f"`{{{', '.join(repr(each) for each in sorted(field.default))}}}`"
    return f"`{field.default!r}`"
