"""The recipe that asks whether panoptic-aware layers draw the borders between instances, made tiny."""

from pathlib import Path

import pytest
import torch

from metai2i.pipeline.runner import Runner
from metai2i.pipeline.stage_store import StageStore
from metai2i.recipe import load_recipe
from metai2i.registry import Registry
from metai2i.run_folder.reader import load_run

RECIPE = Path(__file__).parents[3] / "recipes" / "systems" / "panoptic_scenes.yaml"
TINY = [
    "tasks={use: scenes, kind: street, size: [32, 64], touching: true, train: 2, val: 1, test: 1, frames: 6}",
    "rows.*.translator.width=2",
    "pretrain={iterations: 2, batch: 2}",
    "evaluate={tasks: 1, images: 1, metrics: [mse, instance_edges, instance_lpips, instance_band]}",
    "compare.metric=mse",
]


@pytest.mark.slow
def test_it_runs_and_measures_the_borders_of_instances(tmp_path):
    registry = Registry()
    recipe, store = load_recipe(RECIPE, TINY, registry), StageStore(tmp_path / "stages")
    Runner(recipe, registry, tmp_path / "run", store, torch.device("cpu")).run(["metai2i", "run", str(RECIPE), *TINY])
    records = load_run(tmp_path / "run").records
    assert {record.row for record in records} == {"Plain", "Panoptic", "Classes as ids"}
    assert {record.metric for record in records} >= {"mse", "instance_edges", "instance_lpips", "instance_band"}
