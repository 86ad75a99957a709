"""What translators have to show besides outputs, and the exemplars that they were shown, stand under the images."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from fake_run import make_run
from PIL import Image

from metai2i.report import build_report, load_run
from metai2i.report.shown import also_shown

ROWS = {"A": ("none", 1.0, 0.0), "B": ("bil", 0.9, 0.05), "C": ("bil", 0.8, 0.05)}


def keep(path: Path, folder: str, level: int, size: tuple[int, int] = (16, 16)) -> str:
    """Put an image of one grey level into a folder of the first task, for both queries."""
    place = path / "images" / "street-test-000" / folder
    place.mkdir(parents=True)
    for query in ("0", "1"):
        Image.fromarray(np.full(size, level, np.uint8)).convert("RGB").save(place / f"{query}.png")
    return folder


@pytest.fixture
def run(tmp_path) -> Path:
    path = make_run(tmp_path / "run", rows=ROWS, tasks=6)
    index = json.loads((path / "images" / "index.json").read_text())
    task = index["tasks"][0]
    assert task["dir"] == "street-test-000"
    task["reference"] = {row: keep(path, f"reference/{row}", 90) for row in "BC"}
    task["shown"] = {
        "source": {"B": keep(path, "shown/source/b", 10)},
        "strip16": {"B": keep(path, "shown/strip/b", 20, (16, 80)), "C": keep(path, "shown/strip/c", 30, (16, 80))},
        "reference_structure": {"C": keep(path, "shown/reference_structure/c", 40)},
    }
    (path / "images" / "index.json").write_text(json.dumps(index))
    return path


def test_all_but_the_input_is_shown_and_what_rows_have_alike_once(run):
    lines = also_shown(load_run(run))["street/test-000"]
    assert [(line["what"], line["rows"], len(line["images"])) for line in lines] == [
        ("Exemplar", ["B", "C"], 2),
        ("Exemplar's map", ["C"], 2),
        ("Strip 16", ["B"], 2),
        ("Strip 16", ["C"], 2),
    ]
    assert lines[2]["images"][0]["width"] == 80
    assert lines[2]["images"][1]["alt"] == "street/test-000, query 1: Strip 16, B"


def test_the_page_has_them_under_the_images_of_their_task(run):
    page = build_report(run).read_text()
    (article,) = re.findall(r'<article class="task" id="images-1".*?</article>', page, flags=re.DOTALL)
    assert "<summary>Also shown: Exemplar, Exemplar&#39;s map, Strip 16</summary>" in article
    assert page.count("Also shown") == 1


def test_a_run_that_has_nothing_else_to_show_says_nothing_of_it(tmp_path):
    path = make_run(tmp_path / "run", rows=ROWS, tasks=6)
    assert also_shown(load_run(path)) == {}
    assert "Also shown" not in build_report(path).read_text()
