import pytest

from metai2i.errors import UserErrors
from metai2i.recipe.overrides import is_override, parse_overrides


def message(*overrides):
    with pytest.raises(UserErrors) as caught:
        parse_overrides(overrides)
    return str(caught.value)


def test_values_are_yaml():
    node = parse_overrides(["a.b=1e-4", "a.c=[1, x]", "d=", "e=a=b", "f={x: 1}", "g=true"])
    assert node.plain() == {"a": {"b": 1e-4, "c": [1, "x"]}, "d": None, "e": "a=b", "f": {"x": 1}, "g": True}


def test_none_is_nothing():
    assert parse_overrides([]) is None


def test_the_order_of_a_component_and_its_options_does_not_matter():
    first = parse_overrides(["translator.use=x", "translator.width=3"])
    assert first.plain() == parse_overrides(["translator.width=3", "translator.use=x"]).plain()


def test_the_later_of_two_wins():
    assert parse_overrides(["a=1", "a=2"]).plain() == {"a": 2}


def test_everything_in_it_is_located_at_the_override():
    node = parse_overrides(["a.b={c: [1]}"])
    assert {str(node.locate(path)) for path in [("a",), ("a", "b"), ("a", "b", "c"), ("a", "b", "c", 0)]} == {
        "command line: a.b={c: [1]}"
    }


def test_mistakes_are_told_together():
    assert message("a.b", "=3", "a..b=3", "extends=x", "a=[1") == (
        "command line: a.b: expected an override of the form a.b=c\n"
        "command line: =3: expected an override of the form a.b=c\n"
        "command line: a..b=3: expected an override of the form a.b=c\n"
        "command line: extends=x: extends can only be written in a recipe\n"
        "command line: a=[1: this is not YAML: expected ',' or ']', but got '<stream end>', "
        "while parsing a flow sequence that starts in line 1"
    )


def test_a_file_with_an_equals_sign_is_a_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_override("a=b.yaml")
    (tmp_path / "a=b.yaml").touch()
    assert not is_override("a=b.yaml")
