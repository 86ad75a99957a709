import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from metai2i.errors import Location, UserErrors
from metai2i.recipe import positions
from metai2i.recipe.positions import dump_yaml, parse_yaml

KEYS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), min_size=1, max_size=8)
DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | KEYS
    | st.sampled_from(
        [
            "1e-4",
            "on",
            "null",
            "~",
            "1",
            "2020-01-01",
            "0x1",
            "1:30",
            "<<",
            "=",
            "",
            " a",
            "a: b",
            ".inf",
            "010",
            "0o17",
            "yes",
            "1e5",
            "1_000",
            "+1",
            "a #b",
            "a\u2028b",
            "\x85",
            "\ufeff",
            "\x07",
            "a\r\nb",
            "\U0001f600",
        ]
    )
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


def plain(text):
    return parse_yaml(text, "f").plain()


def messages(text):
    with pytest.raises(UserErrors) as caught:
        parse_yaml(text, "f")
    return [str(error) for error in caught.value.errors]


@given(DATA)
def test_what_is_dumped_is_read_back_as_it_was(data):
    read = plain(dump_yaml(data))
    assert read == data
    assert repr(read) == repr(data)  # 1 is not 1.0, and True is not 1


@pytest.mark.parametrize("text", ["1e-4", "1E-4", "1.0e-4", "0.0001", "+1e-4", ".0001"])
def test_floats_may_be_written_as_in_yaml_1_2(text):
    assert plain(f"lr: {text}") == {"lr": pytest.approx(1e-4)}


@pytest.mark.parametrize(("text", "value"), [("-1e3", -1000.0), ("2e5", 200000.0), (".inf", float("inf")), ("1.", 1.0)])
def test_other_floats(text, value):
    assert plain(text) == value
    assert isinstance(plain(text), float)


@pytest.mark.parametrize(
    "text", ["5", "0", "-3", "true", "False", "null", "~", "word", "'5'", "1.5.2", "e5", "0x1f", "-", "1-2"]
)
def test_other_scalars_are_what_pyyaml_makes_of_them(text):
    assert plain(f"[{text}]" if text != "-" else "['-']") == yaml.safe_load(f"[{text}]" if text != "-" else "['-']")


def test_dates_stay_strings():
    assert plain("2020-01-01") == "2020-01-01"


def test_keys_are_strings_as_they_are_written():
    assert plain("{on: 1, 5: 2, null: 3, 1e-4: 4}") == {"on": 1, "5": 2, "null": 3, "1e-4": 4}


def test_keys_and_values_know_where_they_are():
    node = parse_yaml("a: 1\nb:\n  c: [x, y]\n", "f")
    assert node.locate(("b", "c")) == Location("f", 3, 6)
    assert node.locate(("b", "c"), on_key=True) == Location("f", 3, 3)
    assert node.locate(("b", "c", 1)) == Location("f", 3, 10)


def test_what_is_missing_is_located_at_the_section_it_is_missing_in():
    assert parse_yaml("a:\n  b: 1\n", "f").locate(("a", "c")) == Location("f", 1, 1)


def test_all_duplicate_keys_are_named():
    assert messages("a: 1\nb: {c: 1, c: 2}\na: 2\n") == [
        "f:2:11: key 'c' stands twice (the first is in line 2)",
        "f:3:1: key 'a' stands twice (the first is in line 1)",
    ]


def test_anchors_and_merge_keys_are_followed():
    text = "base: &b {x: 1, y: 2}\na: {<<: *b, y: 3}\nc: *b\nd: {<<: [{z: 1}, *b]}"
    data = plain(text)
    assert data["a"] == {"x": 1, "y": 3}
    assert data["c"] == {"x": 1, "y": 2}
    assert data == yaml.safe_load(text)


def test_an_alias_inside_its_anchor_is_refused():
    assert messages("a: &a [*a]") == ["f:1:4: this alias stands for a value that it is a part of (write the value out)"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\nb: 2\n", "f:2:2: this is not YAML: expected ',' or ']', got ':', in the list that begins in line 1"),
        ("a:\n\tb: 1\n", "f:2:1: this is not YAML: a tab may not stand here (indent with spaces)"),
        ("a: *x", "f:1:4: this is not YAML: there is no anchor for the alias 'x'"),
        ("a: !!int five", "f:1:4: got 'five' behind !!int, expected a whole number"),
        ("a: !!python/object:os.system x",
         "f:1:4: got 'x' of type !!python/object:os.system, expected a plain value (leave the type out)"),
        ("? [1]\n: 2\n", "f:1:3: got a list or a section as a key, expected a name"),
        ("<<: 3", "f:1:5: '<<': got no section to merge, expected one"),
        ("a: 1\n---\nb: 2", "f:2:1: this is not YAML: a second document begins here, expected one (take the line "
         "--- out)"),
        ("a: b: c", "f:1:5: this is not YAML: a key may not stand here (indent the keys of a section alike, and put a "
         "text with a colon into quotes)"),
        ("a: - b", "f:1:4: this is not YAML: a list item (-) may not stand here (it begins a line of its own)"),
        ("a: @b", "f:1:4: this is not YAML: a value may not begin with '@' (put it into quotes)"),
        ("- a\nb: 1", "f:2:1: this is not YAML: expected the next key or list item, got a key, in the list that begins "
         "in line 1 (indent them alike)"),
        ("a: 'b", "f:1:6: this is not YAML: the text ends within quotes"),
    ],
)  # fmt: skip
def test_broken_yaml_is_told_with_its_place(text, message):
    assert messages(text) == [message]


@pytest.mark.parametrize("character", ["\0", "\x07", "\x7f", "\x85", "\u2028", "\u2029", "\ud800", "\ufffe"])
def test_a_character_that_nobody_sees_is_told(character):
    expected = [f"f:2:5: the character U+{ord(character):04X} cannot stand in a recipe"]
    assert messages(f"a: 1\nb: x{character}y") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (r'a: "\ud800"', "f:1:4: got half a character (a lone surrogate), expected text"),
        (r'{"\udc00x": 1}', "f:1:2: got half a character (a lone surrogate), expected text"),
        (r'[1, "\0"]', "f:1:5: got the character U+0000, expected text"),
    ],
)
def test_characters_that_no_file_can_hold_are_told(text, message):
    assert messages(text) == [message]


def test_two_halves_of_a_character_as_json_writes_them_are_one():
    assert plain(r'"\ud83d\ude00"') == "\U0001f600"


def test_a_replacement_character_is_a_character():
    assert plain("'\ufffd'") == "\ufffd"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10), ("-010", -10), ("0o10", 8), ("0x1F", 31), ("08", 8), ("+7", 7), ("00", 0),
        ("1:30", "1:30"), ("1:30.5", "1:30.5"), ("1_000", "1_000"), ("1_0.5", "1_0.5"), ("0b11", "0b11"),
        ("-0x1F", "-0x1F"), ("yes", "yes"), ("no", "no"), ("on", "on"), ("Off", "Off"), ("y", "y"), ("TRUE", True),
        ("=", "="), ("2024-01-02", "2024-01-02"), ("010.5", 10.5), ("1e3", 1000.0), ("1.e3", 1000.0),
        ("!!str 010", "010"), ("!!int 010", 10), ("!!float 1e3", 1000.0), ("!!bool true", True),
    ],
)  # fmt: skip
def test_words_are_read_as_yaml_1_2_has_them(text, value):
    assert plain(f"a: {text}") == {"a": value}
    assert type(plain(f"a: {text}")["a"]) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!bool yes", "f:1:4: got 'yes' behind !!bool, expected true or false"),
        ("a: !!int 1:30", "f:1:4: got '1:30' behind !!int, expected a whole number"),
        ("a: !!null 5", "f:1:4: got '5' behind !!null, expected nothing"),
        ("a: !!set {b, c}", "f:1:4: got a section of type !!set, expected no type"),
        ("a: !mine [b]", "f:1:4: got a list of type !mine, expected no type"),
        ("a: 1e400", "f:1:4: got 1e400, which is too large to be kept as a number"),
        ("a: -1e400", "f:1:4: got -1e400, which is too large to be kept as a number"),
        ("a: 1e-400", "f:1:4: got 1e-400, which is too small to be kept as a number"),
        ("a: " + "9" * 5000, "f:1:4: got a number of 5000 characters, expected at most 100"),
        ("a: 0x" + "f" * 5000, "f:1:4: got a number of 5002 characters, expected at most 100"),
        ("%YAML 1.1\n---\na: 010", "f:1:1: got YAML 1.1, expected 1.2 (it reads some words otherwise; leave the %YAML "
         "line out)"),
    ],
)  # fmt: skip
def test_what_would_be_read_as_something_else_is_told(text, message):
    assert messages(text) == [message]


def test_zero_in_any_form_is_no_number_too_small():
    assert [plain(text) for text in ("0e-400", "0.0", ".0e9", "-0.000")] == [0.0, 0.0, 0.0, 0.0]
    assert plain("%YAML 1.2\n---\na: 010") == {"a": 10}


def bomb(depth):
    lines = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]" for n in range(depth)]
    return "\n".join(lines)


def test_aliases_that_unfold_without_end_are_told_at_once(monkeypatch):
    monkeypatch.setattr(positions, "MOST_REPEATED", 1000)
    assert messages(bomb(12)) == ["f:4:1: aliases unfold to more than 1,000 values (write out what is meant)"]
    assert len(plain(bomb(3))["a2"]) == 9


def test_a_merged_section_counts_as_often_as_it_is_merged(monkeypatch):
    monkeypatch.setattr(positions, "MOST_REPEATED", 1000)
    text = (
        "b: &b {"
        + ", ".join(f"k{n}: {n}" for n in range(400))
        + "}\n"
        + "".join(f"m{n}: {{<<: *b}}\n" for n in range(300))
    )
    assert messages(text) == ["f:4:1: aliases unfold to more than 1,000 values (write out what is meant)"]


@pytest.mark.parametrize("text", ["[" * 400 + "]" * 400, "{a: " * 400 + "}" * 400, "- " * 400 + "x"])
def test_what_is_nested_without_end_is_told_with_its_place(text):
    (error,) = messages(text)
    assert error.endswith("this is nested more than 50 levels deep")
    assert error.startswith("f:1:")


def test_aliases_may_not_nest_without_end_either():
    chain = "a0: &a0 x\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 500))
    (error,) = messages(chain)
    assert error.endswith("this is nested more than 50 levels deep")


def test_what_is_written_plainly_has_no_such_limit(monkeypatch):
    monkeypatch.setattr(positions, "MOST_REPEATED", 10)
    data = [[n, n, n, n] for n in range(400)]
    assert plain("\n".join(f"- [{', '.join(map(str, each))}]" for each in data)) == data
