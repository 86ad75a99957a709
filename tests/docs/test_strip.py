"""The strip of images at the top of the README: its command, and the file that stands there."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import fake_run
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "images" / "make_strip.py"
MODULE = runpy.run_path(str(SCRIPT))
GAP, HEAD = MODULE["GAP"], MODULE["HEAD"]
ROWS = {
    "Pix2pix (5-shot)": ("finetune", 1.0, 0.0),
    "Reptile-Pix2pix (5-shot)": ("reptile", 0.86, 0.05),
    "BiL-Pix2pix (5-shot)": ("bil", 0.97, 0.05),
}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with a run called `runs/quickstart`, as the current one."""
    fake_run.make_run(tmp_path / "runs" / "quickstart", tasks=4, rows=ROWS, size=64)
    (tmp_path / "docs" / "images").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def cell(sheet: Image.Image, line: int, column: int, side: int) -> np.ndarray:
    """The pixels of a cell, (side, side, 3), from the place where it should be."""
    left, top = column * (side + GAP), HEAD + line * (side + GAP)
    return np.asarray(sheet.crop((left, top, left + side, top + side)).convert("RGB"))


def test_the_command_on_the_page_lays_out_map_support_before_after_and_truth(here):
    (command,) = re.findall(
        r"^uv run python docs/images/make_strip\.py (.*)$", (ROOT / "CONTRIBUTING.md").read_text(), re.M
    )
    assert MODULE["main"](shlex.split(command)) == 0
    sheet = Image.open(here / "docs" / "images" / "strip.png")
    side = 3 * 64
    assert sheet.size == (5 * side + 4 * GAP, HEAD + 3 * side + 2 * GAP)
    for line, task in enumerate(["street-test-000", "street-test-001", "street-test-002"]):
        folder = here / "runs" / "quickstart" / "images" / task
        shown = ["structure/0", "support/0", "general/reptile-pix2pix--5-shot-", "reptile-pix2pix--5-shot-", "truth/0"]
        shown = [name if name.endswith("/0") else f"{name}/0" for name in shown]
        for column, name in enumerate(shown):
            image = np.asarray(Image.open(folder / f"{name}.png").convert("RGB"))
            assert np.array_equal(cell(sheet, line, column, side), image.repeat(3, 0).repeat(3, 1)), name


def test_every_column_has_a_heading_over_its_middle_and_the_ground_is_clear(here):
    MODULE["main"](["runs/quickstart", "strip.png"])
    opaque = np.asarray(Image.open("strip.png"))[..., 3] > 0
    assert opaque[HEAD:].mean() < 1
    for column in range(5):
        left, side = column * (192 + GAP), 192
        written = np.flatnonzero(opaque[:HEAD, left : left + side].any(0))
        assert len(written) > 20
        assert abs((written[0] + written[-1]) / 2 - side / 2) < 3
        assert not opaque[:, left + side : left + side + GAP].any()


def test_another_row_shows_what_that_row_has_made(here):
    MODULE["main"](["runs/quickstart", "strip.png", "--row", "BiL-Pix2pix (5-shot)", "--scenes", "1", "--scale", "1"])
    folder = here / "runs" / "quickstart" / "images" / "street-test-000"
    image = np.asarray(Image.open(folder / "bil-pix2pix--5-shot-" / "0.png"))
    assert np.array_equal(cell(Image.open("strip.png"), 0, 3, 64), image)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--row", "Reptile"], "no row is called 'Reptile'"),
        (["--scenes", "5"], "images of 4 test scenes, expected at least 5"),
    ],
)
def test_what_the_run_does_not_have_is_refused_and_nothing_is_written(here, capsys, words, says):
    assert MODULE["main"](["runs/quickstart", "strip.png", *words]) == 2
    assert says in capsys.readouterr().err
    assert not Path("strip.png").exists()


def test_an_image_that_is_gone_is_named(here, capsys):
    gone = here / "runs" / "quickstart" / "images" / "street-test-001" / "truth" / "0.png"
    gone.unlink()
    assert MODULE["main"](["runs/quickstart", "strip.png"]) == 2
    assert "street-test-001/truth/0.png" in capsys.readouterr().err
    assert not Path("strip.png").exists()


@pytest.mark.parametrize("words", [["--scenes", "0"], ["--scale", "-1"], ["--scale", "x"]])
def test_a_number_below_one_is_refused(here, capsys, words):
    with pytest.raises(SystemExit, match="2"):
        MODULE["main"](["runs/quickstart", "strip.png", *words])
    assert f"argument {words[0]}: invalid count value: '{words[1]}'" in capsys.readouterr().err


def test_the_strip_in_the_repository_is_small_and_is_what_the_readme_shows():
    path = ROOT / "docs" / "images" / "strip.png"
    assert path.stat().st_size < 150_000
    assert Image.open(path).size == (5 * 192 + 4 * GAP, HEAD + 3 * 192 + 2 * GAP)
    assert 'src="docs/images/strip.png"' in (ROOT / "README.md").read_text().split("```")[0]
