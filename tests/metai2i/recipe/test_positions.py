import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from metai2i.errors import Location, UserErrors
from metai2i.recipe.positions import dump_yaml, parse_yaml

KEYS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), min_size=1, max_size=8)
DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | KEYS
    | st.sampled_from(
        ["1e-4", "on", "null", "~", "1", "2020-01-01", "0x1", "1:30", "<<", "=", "", " a", "a: b", ".inf"]
    ),
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
    "text", ["5", "0", "-3", "yes", "off", "null", "~", "word", "'5'", "1.5.2", "e5", "0x1f", "-", "1-2"]
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
        "f:2:11: key 'c' is written twice (the first is in line 2)",
        "f:3:1: key 'a' is written twice (the first is in line 1)",
    ]


def test_anchors_and_merge_keys_are_followed():
    text = "base: &b {x: 1, y: 2}\na: {<<: *b, y: 3}\nc: *b\nd: {<<: [{z: 1}, *b]}"
    data = plain(text)
    assert data["a"] == {"x": 1, "y": 3}
    assert data["c"] == {"x": 1, "y": 2}
    assert data == yaml.safe_load(text)


def test_an_alias_inside_its_anchor_is_refused():
    assert messages("a: &a [*a]") == ["f:1:4: this alias is part of what it stands for"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\nb: 2\n", "f:2:2: this is not YAML: expected ',' or ']', but got ':', while parsing a flow sequence "
         "that starts in line 1"),
        ("a:\n\tb: 1\n", r"f:2:1: this is not YAML: found character '\t' that cannot start any token, while "
         "scanning for the next token (indent with spaces)"),
        ("a: *x", "f:1:4: this is not YAML: found undefined alias 'x'"),
        ("a: !!int five", "f:1:4: got 'five', which is no value of type tag:yaml.org,2002:int"),
        ("a: !!python/object:os.system x",
         "f:1:4: got 'x', which is no value of type tag:yaml.org,2002:python/object:os.system"),
        ("? [1]\n: 2\n", "f:1:3: got a list or a section as a key, expected a name"),
        ("<<: 3", "f:1:5: got no section behind '<<', expected one"),
        ("a: 1\n---\nb: 2", "f:2:1: this is not YAML: but found another document, expected a single document in the "
         "stream that starts in line 1"),
    ],
)  # fmt: skip
def test_broken_yaml_is_told_with_its_place(text, message):
    assert messages(text) == [message]


def test_an_unprintable_character_is_told():
    assert messages("a: \x00")[0].startswith("f: this is not YAML: ")
