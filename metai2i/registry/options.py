"""Options of a component: its constructor's signature is the schema, its docstring the manual."""

from __future__ import annotations

import functools
import inspect
import re
import types
import typing
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUndefinedAnnotation
from pydantic_core import PydanticSerializationError, to_jsonable_python

from metai2i.bounds import bounded, out_of_range
from metai2i.errors import Location, UserError, UserErrors
from metai2i.registry.problems import Loc, Problem, explain, validated

HOST_INJECTED = frozenset({"spec", "objective", "inner"})
"""Constructor arguments that come from the host and not from a recipe."""

_MISSING = inspect.Parameter.empty


@dataclass(frozen=True)
class OptionDoc:
    """One option, for people to read.

    Args:
        name: as recipes write it.
        type: the type in short, such as `int | null` or `'bce' | 'lsgan'`.
        default: the default in YAML's words, or `required`.
        doc: what the docstring's `Args:` section says of it, on one line; empty when it says nothing.
    """

    name: str
    type: str
    default: str
    doc: str


@dataclass(frozen=True)
class _Option:
    annotation: Any
    default: Any


def option_model(cls: type) -> type[BaseModel]:
    """Return the pydantic model of a component's options; unknown options are forbidden, types are strict.

    Its fields go by their aliases, which are the options' names, so that an option may be called `copy` or `schema`.

    Raises:
        UserError: when an option has no type, or one that cannot be resolved or checked; that is for the author of
            the class to put right.
    """
    return _option_model(cls)


@functools.cache
def _option_model(cls: type) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for i, (name, option) in enumerate(_options(cls).items()):
        default = ... if option.default is _MISSING else option.default
        fields[f"option_{i}"] = (option.annotation, Field(default, alias=name))
    config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
    try:
        return create_model(f"{cls.__name__}Options", __config__=config, **fields)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation) as error:
        raise UserError(
            f"{_unreadable(cls)} of class {cls.__qualname__} has a type that no recipe can give",
            where=class_place(cls),
            hint="int, float, bool, str, Path, Literal, and tuples, lists, frozensets and dicts of these, or null",
        ) from error


def _unreadable(cls: type) -> str:
    """Return the option whose type pydantic does not take, in words."""
    for name, option in _options(cls).items():
        try:
            create_model(name, value=(option.annotation, ...))
        except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation):
            return f"option {name!r}"
    return "an option"


def option_problems(cls: type, given: Mapping[str, Any]) -> list[Problem]:
    """Return all that is wrong with the options given for `cls`; the locations start at the option's name."""
    try:
        check_options(cls, given)
    except OptionErrors as errors:
        return list(errors.problems)
    return []


class OptionErrors(UserErrors):
    """Everything that is wrong with the options of one component.

    Args:
        problems: each with its location inside the options.
    """

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(UserError(problem.sentence(), hint=problem.hint) for problem in problems)


def check_options(cls: type, given: Mapping[str, Any], words: Mapping[Loc, str] = {}) -> dict[str, Any]:
    """Return the options as the constructor takes them, with all defaults spelled out.

    Types are strict where YAML tells them apart: the string "5" is no int, and `true` is none either. A whole number
    will do for a float, a list for a tuple or a set, a string for a path. No number may be infinite or NaN, or larger
    than any setting (`metai2i.bounds`).

    Args:
        cls: the component.
        given: plain data.
        words: how numbers, `true` and `null` are typed, by their locations, if they may count as strings.

    Raises:
        OptionErrors: with a `Problem` for everything that is wrong.
    """
    model = option_model(cls)
    options = _options(cls)
    # Defaults go through the same door as what was given, so that 64 and 64.0 are one value for a float.
    data = {**_plain_defaults(options), **given}
    try:
        checked = validated(model, data, words)
    except ValidationError as error:
        raise OptionErrors(explain(error, data, {(): options}, noun="option")) from None
    values = {name: getattr(checked, f"option_{i}") for i, name in enumerate(options)}
    if problems := list(out_of_range(values)):
        raise OptionErrors(problems)
    return values


def plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return checked options as plain data that YAML and JSON can hold, and that checks to the same options again."""
    return {name: to_jsonable_python(_ordered(value), inf_nan_mode="constants") for name, value in options.items()}


def json_default(value: object) -> object:
    """Return what JSON holds in the place of a value that it does not know: of a set its members in an order that is
    the same in every process, as names of stages need it; of all else its text.
    """
    return sorted(value, key=repr) if isinstance(value, Set) else str(value)


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _ordered(inner) for name, inner in value.items()}
    if isinstance(value, Set):
        return sorted(map(_ordered, value), key=repr)
    return list(map(_ordered, value)) if isinstance(value, list | tuple) else value


def _plain_defaults(options: Mapping[str, _Option]) -> dict[str, Any]:
    defaults = {}
    for name, option in options.items():
        if option.default is not _MISSING:
            try:
                defaults.update(plain_options({name: option.default}))
            except PydanticSerializationError:
                continue  # a default that YAML cannot write: the model puts it in, unchecked
    return defaults


def describe_options(cls: type) -> list[OptionDoc]:
    """Return the options in the order of the signature, each with its type, default and documentation."""
    docs = _argument_docs(cls)
    return [
        OptionDoc(name, type_text(option.annotation), _default_text(option.default), docs.get(name, ""))
        for name, option in _options(cls).items()
    ]


def options_schema(cls: type, refs: str = "#/$defs/{model}") -> dict[str, Any]:
    """Return the options as a JSON Schema (2020-12) of an object: types, defaults, and what the docstring says of each.

    Args:
        cls: the component.
        refs: where schemas of types that options share will stand; they come as `$defs`.

    Returns:
        a schema with `properties` by the options' names; a type that JSON Schema cannot say is left open.
    """
    docs = {option.name: option for option in describe_options(cls)}
    try:
        whole = option_model(cls).model_json_schema(ref_template=refs)
    except PydanticInvalidForJsonSchema:
        whole = {"type": "object", "additionalProperties": False, "properties": {name: {} for name in docs}}
    for name, schema in whole.setdefault("properties", {}).items():
        schema.pop("title", None)
        schema["description"] = docs[name].doc or docs[name].type
    return {key: bounded(value) for key, value in whole.items() if key != "title"}


def summary(cls: type) -> str:
    """Return the docstring up to its first section (`Args:` and the like)."""
    lines = (inspect.cleandoc(cls.__doc__) if cls.__doc__ else "It has no docstring.").splitlines()
    heads = ("Args:", "Arguments:", "Parameters:", "Raises:", "Returns:", "Attributes:", "Example:", "Examples:")
    end = next((i for i, line in enumerate(lines) if line.strip() in heads), len(lines))
    return "\n".join(lines[:end]).strip()


@functools.cache
def _options(cls: type) -> dict[str, _Option]:
    options: dict[str, _Option] = {}
    for owner in cls.__mro__:
        if "__init__" not in vars(owner) or owner is object:
            continue
        init = inspect.unwrap(vars(owner)["__init__"])
        parameters = list(inspect.signature(init).parameters.values())[1:]
        for parameter in parameters:
            by_name = parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
            if by_name and parameter.name not in HOST_INJECTED and parameter.name not in options:
                options[parameter.name] = _Option(_annotation(cls, init, parameter), parameter.default)
        # `**options` hands the rest to the next class in line; without it, that class's options are not ours.
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return options


def _annotation(cls: type, init: Any, parameter: inspect.Parameter) -> Any:
    if parameter.annotation is _MISSING:
        raise UserError(
            f"option {parameter.name!r} of class {cls.__qualname__} has no type",
            where=class_place(cls),
            hint=f"write it into the constructor: `{parameter.name}: int`",
        )
    # One by one: the host's own arguments may have types that are imported for type checkers only.
    lone = types.SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    try:
        return typing.get_type_hints(lone, globalns=init.__globals__, include_extras=True)[parameter.name]
    except Exception as error:
        raise UserError(
            f"the type {parameter.annotation!r} of option {parameter.name!r} of class {cls.__qualname__} cannot be "
            f"resolved: {error}",
            where=class_place(cls),
            hint="import it at the top of the module, not under TYPE_CHECKING",
        ) from error


def class_place(cls: type) -> Location | None:
    """Return the file and the line in which a class begins; None where that cannot be found out."""
    try:
        return Location(inspect.getsourcefile(cls) or "?", inspect.getsourcelines(cls)[1])
    except (OSError, TypeError):
        return None


def type_text(annotation: Any) -> str:
    """Return a type in short, in the words of a recipe's author.

    >>> type_text(int | None), type_text(Literal["bce", "lsgan"]), type_text(tuple[int, ...])
    ('int | null', "'bce' | 'lsgan'", 'tuple[int, ...]')
    """
    if isinstance(annotation, list):  # the arguments of a Callable
        return f"[{', '.join(map(type_text, annotation))}]"
    origin, args = get_origin(annotation), get_args(annotation)
    plain = {None: "null", types.NoneType: "null", Ellipsis: "...", Path: "path"}
    if origin is None:
        return plain.get(annotation) or str(getattr(annotation, "__name__", annotation))
    if origin is Annotated:
        return type_text(args[0])
    if origin is Literal:
        return " | ".join(map(repr, args))
    if origin in (Union, types.UnionType):
        return " | ".join(map(type_text, args))
    return f"{getattr(origin, '__name__', origin)}[{', '.join(map(type_text, args))}]"


def _default_text(default: Any) -> str:
    if default is _MISSING:
        return "required"
    if default is None or isinstance(default, bool):
        return {None: "null", True: "true", False: "false"}[default]
    if isinstance(default, tuple | list | frozenset):
        each = map(_default_text, default)
        return f"[{', '.join(sorted(each) if isinstance(default, frozenset) else each)}]"
    return str(default)


def _argument_docs(cls: type) -> dict[str, str]:
    """Return what the `Args:` sections say, of the class first, then of its constructor, then of its bases."""
    docs: dict[str, str] = {}
    for owner in cls.__mro__:
        for text in (vars(owner).get("__doc__"), getattr(vars(owner).get("__init__"), "__doc__", None)):
            if text and owner is not object:
                docs = {**parse_arguments(text), **docs}
    return docs


def parse_arguments(docstring: str) -> dict[str, str]:
    """Return the entries of a Google-style `Args:` section, each on one line."""
    docs: dict[str, list[str]] = {}
    section: int | None = None  # the indent of the heading while inside
    entry = 0
    name = ""
    for line in inspect.cleandoc(docstring).splitlines():
        indent = len(line) - len(line.lstrip())
        if re.fullmatch(r"\s*(Args|Arguments|Parameters):\s*", line):
            section, entry, name = indent, 0, ""
        elif section is not None and line.strip():
            if indent <= section:
                section = None
                continue
            entry = entry or indent
            head = re.fullmatch(r"\s*\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)", line)
            if indent == entry and head:
                name = head[1]
                docs[name] = [head[2]]
            elif name:
                docs[name].append(line.strip())
    return {name: " ".join(part for part in lines if part) for name, lines in docs.items()}
