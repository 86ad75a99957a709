from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from pydantic import Field

from metai2i.errors import UserError
from metai2i.registry.options import (
    OptionErrors,
    check_options,
    describe_options,
    option_model,
    option_problems,
    parse_arguments,
    plain_options,
    type_text,
)

if TYPE_CHECKING:
    from metai2i.tasks import TaskSpec


class Many:
    """One option of every kind.

    Args:
        root: the folder,
            a path.
        count: how many.
        norm (str): which: this or that.

    Raises:
        UserError: never.
    """

    def __init__(
        self,
        *,
        spec: TaskSpec,
        objective: object,
        inner: object,
        root: Path,
        count: int = 5,
        rate: float = 64,
        on: bool = True,
        norm: Literal["instance", "batch"] = "instance",
        size: tuple[int, int] = (256, 512),
        names: tuple[str, ...] = ("a",),
        ids: frozenset[int] = frozenset({3, 1, 2}),
        clip: float | None = None,
        schedule: int | dict[str, int] = 3,
        copy: Annotated[int, Field(ge=1)] = 1,
        anything: Any = None,
    ) -> None: ...


class Base:
    """The base.

    Args:
        width: of the base.
    """

    def __init__(self, *, width: int = 3, depth: int = 2) -> None: ...


class Wider(Base):
    def __init__(self, *, extra: int = 0, **options: int) -> None:
        """Makes it wider.

        Args:
            extra: on top.
        """


class Closed(Base):
    def __init__(self, *, width: int = 0) -> None: ...


class Bare:
    pass


def problems(**given):
    return {problem.sentence(): problem.hint for problem in option_problems(Many, {"root": "r", **given})}


def test_defaults_are_spelled_out():
    assert check_options(Many, {"root": "data"}) == {
        "root": Path("data"),
        "count": 5,
        "rate": 64.0,
        "on": True,
        "norm": "instance",
        "size": (256, 512),
        "names": ("a",),
        "ids": frozenset({1, 2, 3}),
        "clip": None,
        "schedule": 3,
        "copy": 1,
        "anything": None,
    }


def test_sets_are_plain_lists_in_order_however_deep_they_lie():
    words = frozenset({"colour", "translation", "cutout"})
    assert plain_options({"changes": words, "of": {"edges": words}, "each": (words,)}) == {
        "changes": sorted(words),
        "of": {"edges": sorted(words)},
        "each": [sorted(words)],
    }


def test_a_default_and_the_same_value_given_are_one():
    assert repr(check_options(Many, {"root": "r"})) == repr(
        check_options(Many, {"root": "r", "rate": 64, "clip": None})
    )


@pytest.mark.parametrize(
    ("given", "checked"),
    [
        ({"rate": 1}, 1.0),
        ({"size": [1, 2]}, (1, 2)),
        ({"size": (1, 2)}, (1, 2)),
        ({"names": []}, ()),
        ({"ids": [1]}, frozenset({1})),
        ({"root": "a/b"}, Path("a/b")),
        ({"root": Path("a/b")}, Path("a/b")),
        ({"clip": 1}, 1.0),
        ({"schedule": {"a": 1}}, {"a": 1}),
    ],
)
def test_what_yaml_can_write_is_accepted(given, checked):
    (name,) = given
    assert check_options(Many, {"root": "r", **given})[name] == checked
    assert type(check_options(Many, {"root": "r", **given})[name]) is type(checked)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"count": "5"}, "count: got the string '5', expected a whole number"),
        ({"count": True}, "count: got true, expected a whole number"),
        ({"count": 5.0}, "count: got 5.0, expected a whole number"),
        ({"count": None}, "count: got null, expected a whole number"),
        ({"rate": "1e-4"}, "rate: got the string '1e-4', expected a number"),
        ({"rate": False}, "rate: got false, expected a number"),
        ({"rate": float("inf")}, "rate: got .inf, expected a finite number"),
        ({"rate": float("-inf")}, "rate: got -.inf, expected a finite number"),
        ({"rate": float("nan")}, "rate: got .nan, expected a finite number"),
        ({"clip": float("inf")}, "clip: got .inf, expected a finite number"),
        ({"rate": 1e31}, "rate: got 1e+31, expected a number from -1e+30 to 1e+30"),
        ({"count": 2**63}, "count: got 9223372036854775808, expected a whole number from -9,223,372,036,854,775,807 to "
         "9,223,372,036,854,775,807"),
        ({"schedule": {"a": 10**30}}, "schedule.a: got 1000000000000000000000000000000, expected a whole number from "
         "-9,223,372,036,854,775,807 to 9,223,372,036,854,775,807"),
        ({"anything": [{"deep": float("inf")}]}, "anything.0.deep: got .inf, expected a finite number"),
        ({"on": 1}, "on: got 1, expected true or false"),
        ({"on": "yes"}, "on: got the string 'yes', expected true or false"),
        ({"norm": 3}, "norm: got 3, expected 'instance' or 'batch'"),
        ({"size": [1]}, "size: got [1], expected 2 items"),
        ({"size": [1, 2, 3]}, "size: got [1, 2, 3], expected at most 2 items"),
        ({"size": [1, "2"]}, "size.1: got the string '2', expected a whole number"),
        ({"size": 3}, "size: got 3, expected a list"),
        ({"root": 3}, "root: got 3, expected a string"),
        ({"clip": "x"}, "clip: got the string 'x', expected a number"),
        ({"schedule": "x"}, "schedule: got the string 'x', expected a whole number or a section (key: value)"),
        ({"schedule": {"a": "x"}}, "schedule.a: got the string 'x', expected a whole number"),
        ({"schedule": []}, "schedule: got [], expected a whole number or a section (key: value)"),
        ({"copy": 0}, "copy: got 0, expected at least 1"),
        ({"names": {"a": 1}}, "names: got a section with a, expected a list"),
    ],
)  # fmt: skip
def test_anything_else_is_refused(given, sentence):
    assert list(problems(**given)) == [sentence]


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"count": "1_000"}, "write 1000"),
        ({"rate": "1_0.5"}, "write 10.5"),
        ({"on": "yes"}, "write true"),
        ({"on": "OFF"}, "write false"),
        ({"count": "yes"}, None),
        ({"on": "1_000"}, None),
        ({"count": "many"}, None),
    ],
)
def test_what_older_readers_of_yaml_take_for_a_number_is_told_how_to_be_written(given, hint):
    assert list(problems(**given).values()) == [hint]


def test_words_take_the_place_of_numbers_where_strings_are_expected():
    words = {("root",): "2024", ("names", 0): "010", ("count",): "007", ("size", 0): "1"}
    given = {"root": 2024, "names": [10], "count": 7, "size": [1, 2]}
    checked = check_options(Many, given, words)
    assert (checked["root"], checked["names"], checked["count"], checked["size"]) == (Path("2024"), ("010",), 7, (1, 2))
    assert check_options(Many, {"root": 10**40}, {("root",): str(10**40)})["root"] == Path(str(10**40))


def test_a_default_that_is_not_finite_is_refused():
    class Endless:
        def __init__(self, *, until: float = float("inf")) -> None: ...

    assert [problem.sentence() for problem in option_problems(Endless, {})] == [
        "until: got .inf, expected a finite number"
    ]
    assert check_options(Endless, {"until": 3}) == {"until": 3.0}


def test_the_nearest_name_is_told():
    assert problems(cuont=3) == {"unknown option 'cuont'": "did you mean 'count'?"}
    assert problems(norm="bacth") == {
        "norm: got the string 'bacth', expected 'instance' or 'batch'": "did you mean 'batch'?"
    }


def test_what_the_host_puts_in_is_no_option():
    assert list(problems(spec=3, inner=3)) == ["unknown option 'spec'", "unknown option 'inner'"]


def test_everything_comes_at_once_with_its_place():
    with pytest.raises(OptionErrors) as caught:
        check_options(Many, {"count": "x", "zzz": 1, "size": [1, None]})
    assert {(problem.loc, problem.on_key) for problem in caught.value.problems} == {
        (("root",), True),
        (("count",), False),
        (("zzz",), True),
        (("size", 1), False),
    }
    assert "option 'root' is missing" in str(caught.value)


def test_plain_options_check_to_the_same_again():
    options = check_options(Many, {"root": "data", "size": [1, 2], "rate": 1e-300})
    plain = plain_options(options)
    assert plain["root"] == "data"
    assert plain["size"] == [1, 2]
    assert plain["ids"] == [1, 2, 3]
    assert check_options(Many, plain) == options


def test_a_subclass_that_hands_options_on_has_those_of_its_base():
    assert check_options(Wider, {"width": 5}) == {"extra": 0, "width": 5, "depth": 2}
    assert [(option.name, option.doc) for option in describe_options(Wider)] == [
        ("extra", "on top."),
        ("width", "of the base."),
        ("depth", ""),
    ]
    assert check_options(Closed, {}) == {"width": 0}


def test_a_class_without_a_constructor_has_no_options():
    assert check_options(Bare, {}) == {}
    assert describe_options(Bare) == []
    assert [problem.what for problem in option_problems(Bare, {"x": 1})] == ["unknown option 'x'"]


def test_options_are_described_from_signature_and_docstring():
    described = {option.name: option for option in describe_options(Many)}
    assert list(described) == list(check_options(Many, {"root": "r"}))
    assert vars(described["root"]) == {
        "name": "root",
        "type": "path",
        "default": "required",
        "doc": "the folder, a path.",
    }
    assert (described["norm"].type, described["norm"].doc) == ("'instance' | 'batch'", "which: this or that.")
    assert (described["clip"].type, described["clip"].default) == ("float | null", "null")
    assert (described["size"].type, described["size"].default) == ("tuple[int, int]", "[256, 512]")
    assert (described["schedule"].type, described["on"].default) == ("int | dict[str, int]", "true")
    assert described["rate"].doc == ""


def test_the_schema_can_be_given_to_an_editor():
    schema = option_model(Many).model_json_schema()
    assert schema["required"] == ["root"]
    assert schema["properties"]["norm"]["enum"] == ["instance", "batch"]
    assert schema["additionalProperties"] is False


class Untyped:
    def __init__(self, *, width=3) -> None: ...


class Unresolvable:
    def __init__(self, *, spec: TaskSpec, width: TaskSpec) -> None: ...


class Uncheckable:
    def __init__(self, *, width: Bare) -> None: ...


@pytest.mark.parametrize(
    ("cls", "words"),
    [
        (Untyped, "option 'width' of .*Untyped has no type"),
        (Unresolvable, "the type 'TaskSpec' of option 'width' of .*Unresolvable cannot be resolved"),
        (Uncheckable, "option '.*' of .*Uncheckable has a type that no recipe can give"),
    ],
)
def test_a_constructor_that_is_no_schema_is_told(cls, words):
    with pytest.raises(UserError, match=words):
        option_model(cls)


def test_types_are_told_in_short():
    assert type_text(list[int]) == "list[int]"
    assert type_text(Annotated[int, Field(ge=1)]) == "int"
    assert type_text(None) == "null"


def test_argument_sections_end_where_the_next_begins():
    text = """What.

    Arguments:
        *names: several,
            on two lines.

        last: after a gap.
    Returns:
        no: argument.
    """
    assert parse_arguments(text) == {"names": "several, on two lines.", "last": "after a gap."}
