"""The page about `metai2i paint`: its screenshots, the script that makes them, and what it says of the page."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from PIL import Image

from metai2i.paint.page import page

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "paint.md").read_text()
SCRIPT = runpy.run_path(str(ROOT / "docs" / "images" / "make_paint_strip.py"))


def test_the_page_shows_each_screenshot_that_the_script_makes_once():
    assert re.findall(r"\]\(images/(paint-\d\.png)\)", TEXT) == list(SCRIPT["NAMES"])


@pytest.mark.parametrize("name", SCRIPT["NAMES"])
def test_a_screenshot_is_small_and_large_enough_to_read(name):
    path = ROOT / "docs" / "images" / name
    assert path.stat().st_size < 300_000
    assert Image.open(path).size[0] >= 1100


def test_a_run_that_is_not_there_is_refused_and_nothing_is_written(tmp_path, capsys):
    assert SCRIPT["main"]([str(tmp_path / "none"), str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'none'}: there is no such file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words", ["Open a map", "Save the map", "Save its instances", "Keys", "Adapt", "Keep the model"]
)
def test_what_the_docs_call_a_button_is_on_the_page(words):
    assert f"**{words}" in TEXT.replace("\n", " ")
    assert words.lower() in page().lower()


def test_the_tools_are_those_that_the_docs_name():
    tools = re.search(r"const TOOLS = \{(.*?)\};", page())
    assert tools is not None
    assert re.findall(r"(\w+):", tools[1]) == ["brush", "line", "box", "fill", "pick"]
    assert "(brush, line, box, fill, pick)" in TEXT


def test_the_page_loads_nothing_from_elsewhere():
    addresses = re.findall(r"(?:https?:)?//[\w.-]+", re.sub(r"^\s*//.*$|\s// .*$", "", page(), flags=re.MULTILINE))
    assert set(addresses) <= {"http://www.w3.org"}
