"""The recipes that compare SPADE with Pix2pix, as systems and under strategies, made tiny on drawn streets."""

from pathlib import Path

import pytest
import torch

from metai2i.pipeline.assemble import Assembler
from metai2i.pipeline.plan import plan
from metai2i.pipeline.runner import Runner, distinct
from metai2i.pipeline.stage_store import StageStore
from metai2i.recipe import load_recipe
from metai2i.registry import Registry
from metai2i.run_folder.reader import load_run

SYSTEMS = Path(__file__).parents[3] / "recipes" / "systems"
TINY = [
    "rows.*.tasks={use: scenes, kind: street, size: [32, 64], train: 2, val: 1, test: 1, frames: 6}",
    "rows.*.translator.width=2",
    "rows.*.objective={perceptual: 0}",
    "rows.*.pretrain={iterations: 2, batch: 2}",
    "rows.*.evaluate={tasks: 1, images: 1, metrics: [mse]}",
    "compare.metric=mse",
]
TINY_STRATEGIES = [
    "rows.*.metatrain={iterations: 1, probe: 1}",
    "rows.*.adapt={iterations: 1, batch: 1}",
    "rows.*.tune=null",
]


@pytest.mark.parametrize(("name", "more"), [("spade_street", []), ("spade_strategies", TINY_STRATEGIES)])
def test_each_of_its_three_translators_is_trained_once(name, more):
    recipe, registry = load_recipe(SYSTEMS / f"{name}.yaml", [*TINY, *more], Registry()), Registry()
    stages = distinct(plan(recipe.rows, Assembler(registry, recipe.seed, torch.device("cpu")), recipe.seed))
    assert len([stage for stage in stages if stage.name == "pretrain"]) == 3


@pytest.mark.slow
@pytest.mark.parametrize(("name", "more"), [("spade_street", []), ("spade_strategies", TINY_STRATEGIES)])
def test_it_runs_on_drawn_streets(tmp_path, name, more):
    registry, file = Registry(), SYSTEMS / f"{name}.yaml"
    recipe, store = load_recipe(file, [*TINY, *more], registry), StageStore(tmp_path / "stages")
    run = Runner(recipe, registry, tmp_path / "run", store, torch.device("cpu"))
    run.run(["metai2i", "run", str(file), *TINY, *more])
    assert {record.row for record in load_run(tmp_path / "run").records} == set(recipe.rows)
