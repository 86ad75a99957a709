"""What components say of themselves by class attributes, looked at as soon as a plugin is opened."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from functools import cached_property
from numbers import Integral, Real
from typing import Any, NamedTuple

from metai2i.errors import UserError

MOST_DIGITS = 100
NAMED_NETWORKS = ("alex", "vgg16", "squeeze", "inception-fid")
"""The core's feature networks that are known by their names in a source that computes with LPIPS."""


def is_names(value: object) -> bool:
    """Return whether a value is a set of texts."""
    return isinstance(value, Set) and all(isinstance(each, str) for each in value)


def is_whole(value: object, low: int, high: int) -> bool:
    """Return whether a value is a whole number from `low` to `high`; True and False are none."""
    return not isinstance(value, bool) and isinstance(value, Integral) and low <= int(value) <= high


def is_rate(value: object) -> bool:
    """Return whether a value is a finite number of 0 or more."""
    return not isinstance(value, bool) and isinstance(value, Real) and 0 <= float(value) < math.inf


def are_phases(value: object) -> bool:
    """Return whether a value is a sequence of different texts, at least one."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return False
    return len(value) > 0 and all(isinstance(each, str) for each in value) and len(set(value)) == len(value)


def _says_where(value: object) -> bool:
    return isinstance(value, bool) or is_names(value)


def are_ways(value: object) -> bool:
    """Return whether a value is a mapping from names (letters, digits, `_` and `-`) to sets of names of fields."""
    if not isinstance(value, Mapping):
        return False
    named = all(isinstance(way, str) and way.replace("-", "_").isidentifier() for way in value)
    return named and all(is_names(fields) for fields in value.values())


class Rule(NamedTuple):
    """What a class attribute must be.

    Args:
        attribute: its name.
        holds: whether a value is right.
        expected: what is right, in words.
        may_be_computed: whether a property will do, for the class itself is never asked.
    """

    attribute: str
    holds: Callable[[Any], bool]
    expected: str
    may_be_computed: bool = False


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def _are_rates(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(k, str) and is_rate(v) for k, v in value.items())


def _is_file_name(value: str) -> bool:
    return _is_text(value) and value not in ("", ".", "..") and not set("/\\") & set(value)


def _are_texts(value: object) -> bool:
    return isinstance(value, Mapping) and all(_is_text(each) for pair in value.items() for each in pair)


def _is_ending(value: object) -> bool:
    return _is_text(value) and len(str(value)) > 1 and _is_file_name(str(value).removesuffix("/"))


_FLAG, _FIELDS = "True or False", "a set of names of fields"
_NEEDS = Rule("needs", is_names, _FIELDS)
RULES: Mapping[str, Sequence[Rule]] = {
    "translator": (
        _NEEDS,
        Rule("phases", are_phases, "a tuple of different names"),
        Rule("rates", _are_rates, "a mapping from players to finite numbers of 0 or more", may_be_computed=True),
        Rule("replayable", _is_flag, _FLAG, may_be_computed=True),
        Rule("samples", _says_where, "True, False or a set of names of its ways", may_be_computed=True),
        Rule("paint_options", is_names, "a set of names of options"),
        Rule("ways", are_ways, "a mapping from names to sets of names of fields"),
    ),
    "task source": (
        Rule("provides", is_names, _FIELDS),
        Rule("test_options", is_names, "a set of names of options"),
        Rule("must_be_read", is_names, _FIELDS, may_be_computed=True),
        Rule("licences", _are_texts, "a mapping from names to texts on one line"),
    ),
    "strategy": (
        Rule("meta", _is_flag, _FLAG),
        _NEEDS,
        Rule("order", lambda value: value in ("first", "second"), "'first' or 'second'", may_be_computed=True),
    ),
    "retriever": (_NEEDS,),
    "metric": (
        Rule("label", lambda value: _is_text(value) and bool(value.strip()), "a text on one line"),
        Rule("higher_is_better", _is_flag, _FLAG),
        Rule("unit", _is_text, "a text on one line"),
        Rule("digits", lambda value: is_whole(value, 0, MOST_DIGITS), f"a whole number from 0 to {MOST_DIGITS}"),
        _NEEDS,
        Rule("several", _is_flag, _FLAG),
        Rule("smallest", lambda value: is_whole(value, 1, 10**6), "a whole number of 1 or more"),
    ),
    "network": (
        Rule("files", lambda value: are_phases(value) and all(map(_is_file_name, value)), "a tuple of names of files"),
        Rule("origin", lambda value: _is_text(value) and bool(value.strip()), "a text on one line"),
        Rule("address", lambda value: value is None or _is_text(value), "an address, or None"),
    ),
    "exporter": (
        Rule("takes", lambda value: value in ("run", "model"), "'run' or 'model'"),
        Rule("modules", lambda value: value == () or are_phases(value), "a tuple of names of modules"),
        Rule("install", _is_text, "a text on one line"),
        Rule(
            "ending", lambda value: value is None or _is_ending(value), "the end of a file's name, as '.onnx', or None"
        ),
    ),
}
"""By kind of component."""
_OF_SETS = (
    Rule("against", lambda value: _is_text(value) and bool(value.strip()), "the name of a field"),
    Rule("least", lambda value: is_whole(value, 1, 10**6), "a whole number of 1 or more"),
)
"""What set metrics say besides."""
_NETWORKS = Rule(
    "feature_networks",
    is_names,
    f"a set of names of feature networks ({', '.join(NAMED_NETWORKS)} and those that `metai2i plugins` lists)",
)


def check_declared(kind: str, component: type) -> None:
    """Refuse a class that says something of a wrong type of itself.

    Args:
        kind: of component, as `RULES` names it.

    Raises:
        UserError: naming the class, the attribute, and what is right. Whatever an attribute raises when it is asked for
            passes.
    """
    rules = [*RULES[kind], *([_NETWORKS] if hasattr(component, _NETWORKS.attribute) else ())]
    rules += [rule for rule in _OF_SETS if kind == "metric" and hasattr(component, rule.attribute)]
    for rule in rules:
        value = getattr(component, rule.attribute)
        computed = isinstance(value, property | cached_property)
        if computed and rule.may_be_computed:
            continue
        if computed or not rule.holds(value):
            got = "a property, which has no value on the class" if computed else shown(value)
            raise UserError(f"{rule.attribute} of class {component.__name__} is {got}, expected {rule.expected}")
    if kind == "translator":
        _check_ways(component)


def _check_ways(component: Any) -> None:
    """Refuse ways that read what the translator does not need, and a `translate` that cannot be told which is asked
    for.

    Raises:
        UserError: naming the class and the way.
    """
    for way, fields in component.ways.items():
        further = sorted(fields - (component.needs - {"target"}))
        if further:
            allowed = ", ".join(sorted(component.needs - {"target"})) or "none"
            what = f"the way {way!r} of class {component.__name__} reads {', '.join(further)}"
            raise UserError(f"{what}, expected fields of its `needs` without the target ({allowed})")
    if component.ways:
        parameters = inspect.signature(component.translate).parameters
        if "way" not in parameters and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            raise UserError(
                f"class {component.__name__} has ways, and its translate does not take `way`",
                hint=f"translate(self, batch, way={next(iter(component.ways))!r})",
            )


def shown(value: object, most: int = 60) -> str:
    """Return a value in words, short: a number or a text as it is written, anything else by its class."""
    text = _in_words(value)
    return text if len(text) <= most else f"{text[:most]}…"


def of_kind(value: object) -> str:
    """Return a value by its class alone: `a TaskSpec`, `an Adam`."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _in_words(value: object) -> str:
    if value is None or isinstance(value, str | bytes | bool | int | float | complex):
        return repr(value)
    kinds: dict[type, str] = {list: "[]", tuple: "()", set: "{}", frozenset: "{}"}
    brackets = kinds.get(type(value))
    if brackets is not None and isinstance(value, Collection) and (value or brackets != "{}"):
        parts = list(map(_in_words, value))
        ends = "," if brackets == "()" and len(parts) == 1 else ""
        return f"{brackets[0]}{', '.join(parts)}{ends}{brackets[1]}"
    if type(value) is dict:
        return f"{{{', '.join(f'{_in_words(key)}: {_in_words(each)}' for key, each in value.items())}}}"
    return f"an empty {type(value).__name__}" if brackets is not None else of_kind(value)
