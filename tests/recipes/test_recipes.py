"""The recipes that come with the project."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from metai2i.assemble import Assembler
from metai2i.plan import plan
from metai2i.recipe import load_recipe
from metai2i.registry import Registry
from metai2i.runner import distinct

RECIPES = Path(__file__).parents[2] / "recipes"
BASES = {"paper/settings.yaml"}  # to be extended: they name no task source
NAMES = sorted(str(path.relative_to(RECIPES)) for path in RECIPES.rglob("*.yaml"))
DATA = {"faces": "faces", "street": "street"}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in BASES])
def test_every_recipe_is_right(name):
    recipe = load_recipe(RECIPES / name, [], Registry())
    assert recipe.rows
    against = {row.baseline for row in recipe.rows.values()} - {None}
    assert against <= set(recipe.rows)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("cpu/") and name != "cpu/faces.yaml"])
def test_rows_of_one_translator_are_tuned_on_one_grid(name):
    recipe = load_recipe(RECIPES / name, [], Registry())
    grids: dict[str, set[object]] = {}
    for row in recipe.rows.values():
        if row.tune is not None:
            grids.setdefault(row.translator.use, set()).add((row.tune.lr, row.tune.iterations, row.tune.tasks))
    assert {translator: len(found) for translator, found in grids.items()} == dict.fromkeys(grids, 1)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["paper/face_5shot.yaml", "paper/street_1shot.yaml", "cpu/face_5shot.yaml"])
def test_a_table_of_two_translators_trains_each_of_them_once(name, shared):
    kind = load_recipe(RECIPES / name, [], Registry()).rows["Copy"].tasks.use
    recipe = load_recipe(RECIPES / name, [f"tasks.root={shared / 'data' / DATA[kind]}"], Registry())
    assembler = Assembler(Registry(), recipe.seed, torch.device("cpu"))
    stages = Counter(stage.name for stage in distinct(plan(recipe.rows, assembler, recipe.seed)))
    assert (stages["pretrain"], stages["further"], stages["metatrain"]) == (2, 2, 2)
