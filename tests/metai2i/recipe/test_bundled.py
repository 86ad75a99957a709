"""The recipes that come with metai2i: where they are, how they are called, how they are copied."""

from __future__ import annotations

from pathlib import Path

import pytest

from metai2i import UserError
from metai2i.recipe import load_recipe
from metai2i.recipe.bundled import bundled_recipes, copy_recipes, recipe_path, recipes_folder
from metai2i.registry import Registry

RECIPES = {recipe.name: recipe for recipe in bundled_recipes()}


def test_every_recipe_of_the_folder_is_listed_and_says_what_it_is():
    assert {recipe.path for recipe in RECIPES.values()} == set(recipes_folder().rglob("*.yaml"))
    assert {"quickstart", "cpu/face_5shot", "paper/street_1shot"} <= RECIPES.keys()
    assert [name for name, recipe in RECIPES.items() if not recipe.about] == []
    assert RECIPES["quickstart"].command == "metai2i run recipes/quickstart.yaml"


def test_a_name_means_the_recipe_that_comes_along_unless_a_file_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert recipe_path("quickstart") == RECIPES["quickstart"].path
    assert recipe_path("cpu/face_5shot") == RECIPES["cpu/face_5shot"].path
    Path("quickstart").write_text("mine")
    assert recipe_path("quickstart") == Path("quickstart")
    assert recipe_path("missing/mine.yaml") == Path("missing/mine.yaml")


def test_a_name_that_is_none_is_told_with_the_nearest():
    with pytest.raises(UserError, match=r"no bundled recipe is called 'quikstart' \(did you mean 'quickstart'\?\)"):
        recipe_path("quikstart")


def test_a_copy_brings_what_it_extends_and_validates(tmp_path):
    written = copy_recipes([RECIPES["cpu/face_1shot"]], tmp_path)
    assert tmp_path / "cpu" / "face_1shot.yaml" in written
    assert len(written) > 1
    load_recipe(tmp_path / "cpu" / "face_1shot.yaml", ["tasks.root=faces"], Registry())


def test_a_copy_overwrites_nothing_and_leaves_what_is_the_same(tmp_path):
    assert copy_recipes([RECIPES["quickstart"]], tmp_path) == [tmp_path / "quickstart.yaml"]
    assert copy_recipes([RECIPES["quickstart"]], tmp_path) == []
    (tmp_path / "quickstart.yaml").write_text("mine")
    with pytest.raises(UserError, match="this is there already"):
        copy_recipes(list(RECIPES.values()), tmp_path)
    assert (tmp_path / "quickstart.yaml").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["quickstart.yaml"]
