import pytest
from hypothesis import given
from hypothesis import strategies as st

from metai2i.errors import UserErrors
from metai2i.recipe.overrides import is_override, merged, parse_overrides, spread_over_rows
from metai2i.recipe.positions import parse_yaml

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


def parsed(*overrides):
    return merged(parse_overrides(overrides))


def value(text):
    return parsed(f"a={text}").plain()["a"]


def message(*overrides):
    with pytest.raises(UserErrors) as caught:
        parse_overrides(overrides)
    return str(caught.value)


def test_values_are_numbers_words_lists_and_sections():
    node = parsed("a.b=1e-4", "a.c=[1, x]", "d=", "e=a=b", "f={x: 1}", "g=true", "h=010", "i=yes", "j=1:30", "k= 2 ")
    assert node.plain() == {
        "a": {"b": 1e-4, "c": [1, "x"]}, "d": None, "e": "a=b", "f": {"x": 1}, "g": True, "h": 10, "i": "yes",
        "j": "1:30", "k": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["/data/run #1", "#1", "a: b", "a:", "*x", "&x", "!x", "!!int 3", "@x", "%x", "`x`", "- x", "? x", "| x", "> x",
     r"C:\data\new", "it's", 'six "inches"', "a, b", "a]", "}", "~/x", "x\ty", "---", "...", "<<", "=", "a=b",
     "2024-01-02", "\u00e9", "x # y: [", "key: {a", "-"],
)  # fmt: skip
def test_words_are_taken_as_they_are(text):
    assert value(text) == text


@given(TEXT)
def test_any_string_arrives_unchanged_in_quotes(text):
    assert value('"' + "".join(f"\\U{ord(letter):08x}" for letter in text) + '"') == text


@given(TEXT.filter(str.isprintable))
def test_any_printable_string_arrives_unchanged_in_single_quotes(text):
    assert value("'" + text.replace("'", "''") + "'") == text


@given(TEXT.filter(lambda text: text.strip() == text and text[:1] not in tuple("\"'[{") and text.isprintable()))
def test_any_other_string_is_itself_or_what_a_file_would_make_of_the_word(text):
    read = value(text)
    assert read == text or (not isinstance(read, str) and parse_yaml(text, "f").plain() == read)


@pytest.mark.parametrize(
    ("text", "expected"),
    [('"a #b"', "a #b"), ("'a \"b\"'", 'a "b"'), ('"010"', "010"), ("''", ""), (" [1, 2] ", [1, 2])],
)
def test_what_begins_as_a_string_list_or_section_is_read_as_one(text, expected):
    assert value(text) == expected


@pytest.mark.parametrize("text", ['"a" #b', "[1, 2] # three", "'a'  #"])
def test_nothing_behind_a_value_is_lost(text):
    head = text.partition(" ")[0] if "[" not in text else "[1, 2]"
    assert f"command line: a={text}: got more text after the value {head}, expected its end" in message(f"a={text}")


def test_quotes_that_do_not_end_are_told_with_what_to_write():
    error = message("""a="a", b""")
    assert "(a string that begins with a quote goes into quotes as a whole: '\"a\", b')" in error
    assert value("""'"a", b'""") == '"a", b'


def test_names_with_dots_go_into_quotes():
    assert parsed('rows."lr=0.1, 5".adapt.lr=2').plain() == {"rows": {"lr=0.1, 5": {"adapt": {"lr": 2}}}}
    assert parsed("rows.'a.b'.x=c.d=e").plain() == {"rows": {"a.b": {"x": "c.d=e"}}}


def test_none_is_nothing():
    assert parse_overrides([]) == []
    assert merged([]) is None


def test_the_order_of_a_component_and_its_options_does_not_matter():
    first = parsed("translator.use=x", "translator.width=3")
    assert first.plain() == parsed("translator.width=3", "translator.use=x").plain()


def test_the_later_of_two_wins():
    assert parsed("a=1", "a=2").plain() == {"a": 2}


def test_everything_in_it_is_located_at_the_override():
    node = parsed("a.b={c: [1]}")
    assert {str(node.locate(path)) for path in [("a",), ("a", "b"), ("a", "b", "c"), ("a", "b", "c", 0)]} == {
        "command line: a.b={c: [1]}"
    }


def test_mistakes_are_told_together():
    assert message("a.b", "=3", "a..b=3", "extends=x", "a=[1", "a=1e999") == (
        "command line: a.b: expected an override of the form a.b=c\n"
        "command line: =3: expected an override of the form a.b=c\n"
        "command line: a..b=3: expected an override of the form a.b=c\n"
        "command line: extends=x: extends can only be written in a recipe\n"
        "command line: a=[1: this is not YAML: expected ',' or ']', got the end of the text, "
        "in the list that begins in line 1\n"
        "command line: a=1e999: got 1e999, which is too large to be kept as a number"
    )


def test_a_path_without_end_is_told():
    assert message(f"{'a.' * 400}b=1").endswith("this is nested more than 50 levels deep")


def test_what_is_no_text_is_told():
    assert message("a=caf\udce9").endswith("this is not text in UTF-8, in which recipes are kept")


def test_a_file_with_an_equals_sign_is_a_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_override("a=b.yaml")
    (tmp_path / "a=b.yaml").touch()
    assert not is_override("a=b.yaml")
    assert is_override(f"description={'x' * 5000}")  # which no file can be called


def test_several_patterns_that_fit_a_row_all_reach_it_the_later_one_over_the_others():
    text = 'rows={"*": {adapt: {lr: 0.5, batch: 2}}, "A*": {adapt: {iterations: 3, batch: 4}}}'
    (piece,) = parse_overrides([text])
    assert spread_over_rows(piece, ["A", "B"], ["A", "B"]).plain()["rows"] == {
        "A": {"adapt": {"lr": 0.5, "batch": 4, "iterations": 3}},
        "B": {"adapt": {"lr": 0.5, "batch": 2}},
    }


def test_a_pattern_of_rows_stands_for_each_row_that_it_fits():
    (piece,) = parse_overrides(["rows.BiL*.adapt.lr=1"])
    rows = ["BiL, 5", "Copy", "BiL, 20"]
    assert list(spread_over_rows(piece, rows, ["BiL", "Copy"]).plain()["rows"]) == ["BiL, 5", "BiL, 20"]
    assert list(spread_over_rows(piece, ["Copy"], ["BiL"]).plain()["rows"]) == ["BiL"]
    assert list(spread_over_rows(piece, ["BiL*", "BiL+"], []).plain()["rows"]) == ["BiL*"]  # a row of this very name
    with pytest.raises(UserErrors, match=r"no row is called 'BiL\*' \(known: Copy\)"):
        spread_over_rows(piece, ["Copy"], ["Copy"])
