"""Holds plain data against the typed record that it is said to be: key by key, and type by type."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict


def misfits(value: object, kind: Any, place: str = "record") -> list[str]:
    """Return where data is not what a type says, in words; numbers of JSON may be whole where they are floats."""
    return list(_misfits(value, kind, place))


def _misfits(value: object, kind: Any, place: str) -> Iterator[str]:
    origin, inner = get_origin(kind), get_args(kind)
    if is_typeddict(kind):
        yield from _of_record(value, kind, place)
    elif origin in (types.UnionType, Union):
        if all(misfits(value, each) for each in inner):
            yield f"{place}: {value!r} is none of {kind}"
    elif origin is dict:
        if not isinstance(value, dict):
            yield f"{place}: {value!r} is no dict"
            return
        for key, each in value.items():
            yield from _misfits(key, inner[0], f"{place} key")
            yield from _misfits(each, inner[1], f"{place}.{key}")
    elif origin in (list, tuple):
        if not isinstance(value, list | tuple) or (origin is tuple and len(value) != len(inner)):
            yield f"{place}: {value!r} is no {kind}"
            return
        for n, each in enumerate(value):
            yield from _misfits(each, inner[n] if origin is tuple else inner[0], f"{place}.{n}")
    elif origin is Literal:
        if value not in inner:
            yield f"{place}: {value!r} is none of {inner}"
    elif kind not in (Any, object) and not _is_a(value, kind):
        yield f"{place}: {value!r} is no {kind}"


def _of_record(value: object, kind: Any, place: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{place}: {value!r} is no record"
        return
    hints, spelled = get_type_hints(kind), get_type_hints(kind, include_extras=True)
    required = {key for key, hint in spelled.items() if get_origin(hint) is not NotRequired}
    yield from (f"{place}.{key} is missing" for key in sorted(required - value.keys()))
    for key, each in value.items():
        if key not in hints:
            yield f"{place}.{key} is no key of {kind.__name__}"
        else:
            yield from _misfits(each, hints[key], f"{place}.{key}")


def _is_a(value: object, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)
