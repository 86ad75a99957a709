"""The images of the README's table of systems: how they are laid out, and from which recipes."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import fake_run
import numpy as np
import pytest
import yaml
from PIL import Image

ROOT = Path(__file__).parents[2]
MODULE = runpy.run_path(str(ROOT / "docs" / "images" / "make_systems.py"))
SYSTEMS, SIDE, GAP, APART = (MODULE[name] for name in ("SYSTEMS", "SIDE", "GAP", "APART"))


def recipe_of(run: str) -> dict:
    """The recipe whose runs are called so."""
    for path in (ROOT / "recipes").rglob("*.yaml"):
        recipe = yaml.safe_load(path.read_text())
        if recipe.get("name") == run:
            return recipe
    raise AssertionError(run)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_is_a_row_of_a_recipe(name):
    assert SYSTEMS[name].row in recipe_of(SYSTEMS[name].run)["rows"]


def test_an_example_is_what_was_shown_and_what_was_made_of_it(tmp_path):
    rows = {"Pix2pix": ("finetune", 1.0, 0.0), "SPADE": ("finetune", 0.9, 0.1)}
    fake_run.make_run(tmp_path / "runs" / "systems-drawn-streets", tasks=4, rows=rows, size=64)
    there = {name: SYSTEMS[name] for name in ("pix2pix", "spade")}
    image = MODULE["sheet"](MODULE["examples_of"](tmp_path / "runs" / "systems-drawn-streets", there["spade"]))
    assert image.size == (6 * SIDE + 3 * GAP + 2 * APART, SIDE)
    place = 0
    for task in ("street-test-000", "street-test-001", "street-test-002"):
        for folder in ("structure", "spade"):
            file = tmp_path / "runs" / "systems-drawn-streets" / "images" / task / folder / "0.png"
            cell = image.crop((place, 0, place + SIDE, SIDE)).convert("RGB")
            assert np.array_equal(np.asarray(cell), np.asarray(Image.open(file).convert("RGB")))
            place += SIDE + GAP
        place += APART - GAP


def test_what_is_not_there_is_named(tmp_path, capsys):
    assert MODULE["main"]([str(tmp_path / "nowhere"), str(tmp_path / "out")]) == 2
    assert "nowhere" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert MODULE["main"]([str(tmp_path / "empty"), str(tmp_path / "out")]) == 2
    assert "none of the runs is here (one or more of systems-drawn-streets" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


README, PAGE, IMAGES = ROOT / "README.md", ROOT / "docs" / "systems.md", ROOT / "docs" / "images" / "systems"
LINE = re.compile(r"^\|([^|]+)\|([^|]+)\|!\[([^\]]+)\]\(docs/images/systems/(\w+)\.png\)\|$", re.MULTILINE)
IN_README = {"pix2pix", "pg2", "spade", "cocosnet", "panoptic", "stargan2", "gpunit", "edgegan"}
MOST = 150_000
"""Bytes of an image."""


def table_of_systems() -> dict[str, str]:
    """The name of each image in the README's table, with the recipe that its line names."""
    recipes, recipe = {}, ""
    for _, command, _, system in LINE.findall(README.read_text()):
        recipe = command.strip("`").split()[-1] if command != "the same" else recipe
        recipes[system] = recipe
    return recipes


def test_the_readme_has_a_line_for_each_system_with_the_recipe_that_its_image_is_made_from():
    lines = table_of_systems()
    assert set(lines) == IN_README
    for system, recipe in lines.items():
        text = (ROOT / "recipes" / f"{recipe}.yaml").read_text()
        assert yaml.safe_load(text)["name"] == SYSTEMS[system].run


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_image_of_a_system_is_there_and_small_and_on_the_page(name):
    file = IMAGES / f"{name}.png"
    with Image.open(file) as image:
        assert image.format == "PNG"
        assert image.height == SIDE
    assert file.stat().st_size < MOST
    assert PAGE.read_text().count(f"](images/systems/{name}.png)") == 1


def test_no_image_of_a_system_is_left_over():
    assert {file.stem for file in IMAGES.iterdir()} == set(SYSTEMS)


def test_the_page_names_whose_emoji_are_shown_and_on_which_terms():
    words = " ".join(PAGE.read_text().split())
    for owner in ("Twemoji, © Twitter", "CC BY 4.0", "Noto Emoji, © Google, Apache 2.0", "© Microsoft, MIT",
                  "OpenMoji, openmoji.org", "CC BY-SA 4.0"):  # fmt: skip
        assert owner in words
