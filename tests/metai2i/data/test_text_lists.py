"""Lists as texts, a thing in each line."""

from __future__ import annotations

import os

import pytest

from metai2i import UserError
from metai2i.data import listed_lines


def test_lines_come_with_their_places_without_comments_spaces_and_the_byte_order_mark(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeffone \r\n\r\n  # not this\r\n\ttwo,three".encode())
    assert [(str(where), line) for where, line in listed_lines(path, "a list")] == [
        (f"{path}:1", "one"),
        (f"{path}:4", "two,three"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n # only this\n", "there is no line in this file, expected the list"),
        (b"", "there is no line in this file, expected the list"),
        ("ä".encode("latin-1"), "this is not text in UTF-8, expected the list"),
        ("one".encode("utf-16"), "this is not text in UTF-8, expected the list"),
    ],
)
def test_a_file_without_a_line_or_in_another_encoding_is_refused(content, message, tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        listed_lines(path, "the list")
    assert error.value.where == path


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UserError, match="the list cannot be read: the file is no ordinary file"):
        listed_lines(pipe, "the list")
    with pytest.raises(UserError, match="the list cannot be read: the file is not there"):
        listed_lines(tmp_path / "nowhere", "the list")
