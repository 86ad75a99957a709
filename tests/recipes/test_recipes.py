"""The recipes that come with the project."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from metai2i.adaptation import Adaptation
from metai2i.pipeline.assemble import Assembler
from metai2i.pipeline.plan import continued_iterations, plan
from metai2i.pipeline.runner import distinct
from metai2i.recipe import load_recipe
from metai2i.registry import Registry

RECIPES = Path(__file__).parents[2] / "recipes"
BASES = {"paper/settings.yaml", "benchmarks/strategies.yaml"}  # to be extended: they name no task source
NAMES = sorted(str(path.relative_to(RECIPES)) for path in RECIPES.rglob("*.yaml"))
TABLES = [name for name in NAMES if name.startswith(("cpu/", "gpu/")) and name not in BASES]
DATA = {"faces": "faces", "street": "street"}
METHODS = {"bil": "bil", "bilevel": "bil", "reptile": "reptile", "bootstrap": "bootstrap"}
"""What words in a row's name stand for."""


@pytest.mark.parametrize("name", [name for name in NAMES if name not in BASES])
def test_every_recipe_is_right(name):
    recipe = load_recipe(RECIPES / name, [], Registry())
    assert recipe.rows
    against = {row.baseline for row in recipe.rows.values()} - {None}
    assert against <= set(recipe.rows)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in BASES])
def test_rows_that_name_a_method_run_its_outer_step(name):
    """Reptile's name stands on every row that runs Reptile beside other methods, and on no other; so does BiL's."""
    rows = load_recipe(RECIPES / name, [], Registry()).rows
    named = {row: {use for word, use in METHODS.items() if word in row.lower()} for row in rows}
    assert {row: uses for row, uses in named.items() if uses - {rows[row].strategy.use}} == {}
    if any(named.values()):
        assert [row for row in rows if rows[row].strategy.use in METHODS.values() and not named[row]] == []


@pytest.mark.parametrize("name", TABLES)
def test_rows_of_one_translator_are_tuned_on_one_grid(name):
    recipe = load_recipe(RECIPES / name, [], Registry())
    grids: dict[str, set[object]] = {}
    for row in recipe.rows.values():
        if row.tune is not None and row.tune.match is None:
            grids.setdefault(row.translator.use, set()).add((row.tune.lr, row.tune.iterations, row.tune.tasks))
    assert {translator: len(grid) for translator, grid in grids.items()} == dict.fromkeys(grids, 1)


@pytest.mark.parametrize("name", TABLES)
def test_rows_meta_train_at_a_rate_that_they_may_be_tuned_to(name):
    for row in load_recipe(RECIPES / name, [], Registry()).rows.values():
        assert row.tune is None or row.tune.match is not None or row.adapt.lr in row.tune.lr


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "trained"),
    [
        ("paper/face_5shot.yaml", (2, 2, 2)),
        ("paper/street_1shot.yaml", (2, 2, 2)),
        ("cpu/face_5shot_paper.yaml", (2, 2, 2)),
        ("cpu/face_5shot.yaml", (2, 2, 5)),  # Pix2pix has the paper's own outer step as well
    ],
)
def test_a_table_of_two_translators_trains_each_of_them_once(name, trained, shared, monkeypatch):
    monkeypatch.setenv("METAI2I_WEIGHTS", str(shared / "weights"))  # their digests are in the stages' names
    kind = load_recipe(RECIPES / name, [], Registry()).rows["Copy"].tasks.use
    recipe = load_recipe(RECIPES / name, [f"tasks.root={shared / 'data' / DATA[kind]}"], Registry())
    assembler = Assembler(Registry(), recipe.seed, torch.device("cpu"))
    stages = Counter(stage.name for stage in distinct(plan(recipe.rows, assembler, recipe.seed)))
    assert (stages["pretrain"], stages["continued"], stages["metatrain"]) == trained


BENCHMARKS = [f"benchmarks/strategies_{data}.yaml" for data in ("faces", "scenes", "street")]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_strategies_are_compared_on_equal_terms(name):
    """They differ in how they adapt alone, at the same steps, after as many samples of training, within a hundredth."""
    rows, registry = load_recipe(RECIPES / name, [], Registry()).rows, Registry()
    assembler = Assembler(registry, 0, torch.device("cpu"))
    free = {"strategy", "continued", "metatrain", "adapt", "tune", "retriever", "aux", "baseline"}
    assert len({row.model_dump_json(exclude=free) for row in rows.values()}) == 1
    steps: dict[str, set[int]] = {}
    for row in rows.values():
        steps.setdefault(str(row.strategy), set()).add(row.adapt.iterations)
    assert len(steps) == 10
    assert set(map(tuple, map(sorted, steps.values()))) == {(0, 1, 5, 20, 100)}
    spent = []
    for row in rows.values():
        strategy = registry.get("strategy", row.strategy.use)(
            inner=Adaptation(**row.adapt.model_dump(), augment=assembler.augment(row)), **row.strategy.options
        )
        cost = strategy.cost(row.episodes.shots, row.episodes.queries)
        matched = continued_iterations(row, rows, assembler) * row.pretrain.batch if row.continued else 0
        spent.append(matched or row.metatrain.iterations * row.metatrain.tasks * cost)
    assert min(spent) > 0
    assert max(spent) / min(spent) < 1.01


@pytest.mark.parametrize("name", BENCHMARKS)
def test_rates_are_chosen_once_for_all_numbers_of_steps_and_on_one_grid(name):
    rows = load_recipe(RECIPES / name, [], Registry()).rows
    grids = {row.tune for row in rows.values() if row.tune is not None}
    assert {(grid.at, grid.iterations) for grid in grids} == {(20, ())}
    assert len({grid.lr for grid in grids}) == 1
    assert {row.strategy.use for row in rows.values() if row.tune is None} == {"metasgd", "mamlpp"}


def test_the_benchmark_of_strategies_shares_its_stages():
    recipe = load_recipe(RECIPES / BENCHMARKS[1], [], Registry())
    assembler = Assembler(Registry(), recipe.seed, torch.device("cpu"))
    stages = Counter(stage.name for stage in distinct(plan(recipe.rows, assembler, recipe.seed)))
    assert stages == {"pretrain": 1, "continued": 1, "metatrain": 8, "tune": 8, "evaluate": 50}
