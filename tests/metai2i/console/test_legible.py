"""Names of others as they may be shown."""

from __future__ import annotations

import pytest

from metai2i.console.legible import legible, on_one_line


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\x1b[31mred", r"a\x1b[31mred"),
        ("\x00nul\x9b", r"\x00nul\x9b"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2066a\u2069", r"\u2066a\u2069"),
        ("caf\udce9", r"caf\udce9"),
        ("line\u2028end\r", r"line\u2028end\r"),
        ("\ufeffmark", r"\ufeffmark"),
    ],
)
def test_what_steers_or_is_not_seen_is_spelled_out(name, shown):
    assert legible(name) == on_one_line(name) == shown


@pytest.mark.parametrize(
    "name", ["Größe", "人物 李娜", "שלום", "👨\u200d👩\u200d👧", "a\u00a0b", "e\u0301", r"a\d \x1b", "[/red]", ""]
)
def test_letters_of_every_script_and_emoji_stay(name):
    assert legible(name) == on_one_line(name) == name


def test_line_ends_and_tabs_stay_in_texts_and_not_in_names():
    assert legible("a\n\tb") == "a\n\tb"
    assert on_one_line("a\n\tb") == r"a\n\tb"
