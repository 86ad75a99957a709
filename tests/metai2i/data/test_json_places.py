"""Where in a JSON file something stands."""

from __future__ import annotations

import json

import pytest

from metai2i.data import json_place

TEXT = """{
  "size": [4, 4],
  "objects": [
    {"class": "cat", "box": [0, 0, 2, 2]},
    {
      "class": "dog"}
  ]
}
"""


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ((), ":1:1"),
        (("size",), ":2:3"),
        (("objects",), ":3:3"),
        (("objects", 0), ":4:5"),
        (("objects", 0, "box"), ":4:22"),
        (("objects", 1), ":5:5"),
        (("objects", 1, "class"), ":6:7"),
        (("objects", 7), ":3:3"),
        (("objects", 1, "box"), ":5:5"),
    ],
)
def test_it_is_the_line_and_the_column_of_the_key_or_of_what_lies_nearest_to_it(tmp_path, keys, place):
    path = tmp_path / "a.json"
    path.write_text(TEXT)
    assert str(json_place(path, *keys)) == f"{path}{place}"


def test_one_line_as_programs_write_it_has_columns(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(json.loads(TEXT)))
    place = json_place(path, "objects", 1)
    assert path.read_text()[place.column - 1 :].startswith('{"class": "dog"}')


@pytest.mark.parametrize("text", [None, "{", "\t{\n\t}\n}", "[" * 100_000])
def test_of_what_cannot_be_read_it_is_the_file(tmp_path, text):
    path = tmp_path / "a.json"
    if text is not None:
        path.write_text(text)
    assert json_place(path, "objects") == path


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029"])
def test_what_ends_a_line_in_yaml_alone_ends_none(tmp_path, character):
    path = tmp_path / "a.json"
    path.write_text(f'{{"name": "a{character}b",\n "size": 3}}', encoding="utf-8")
    assert str(json_place(path, "size")) == f"{path}:2:2"
