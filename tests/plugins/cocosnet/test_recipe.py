"""The recipes of CoCosNet: what they train, and that their settings are the published ones."""

from pathlib import Path

import pytest

from metai2i.recipe import load_recipe
from metai2i.registry import Registry

RECIPES = Path(__file__).parents[3] / "recipes"


def test_each_strategy_has_a_row_with_the_exemplar_and_a_row_without():
    rows = load_recipe(RECIPES / "systems" / "cocosnet_strategies.yaml", [], Registry()).rows
    seen = {(row.strategy.use, row.translator.options.get("exemplar", True)) for row in rows.values()}
    assert seen == {(name, shown) for name in ("none", "finetune", "reptile", "bil") for shown in (True, False)}
    assert len(rows) == len(seen)


def test_both_small_recipes_train_the_same_general_models():
    faces, strategies = (
        load_recipe(RECIPES / "systems" / f"cocosnet_{name}.yaml", [], Registry()).rows
        for name in ("faces", "strategies")
    )
    for ours, theirs in (("CoCosNet", "Exemplar"), ("No exemplar", "No exemplar")):
        for section in ("translator", "objective", "pretrain", "reference", "augment", "tasks"):
            assert getattr(faces[ours], section) == getattr(strategies[theirs], section)


def test_the_general_models_are_compared_with_the_support_photograph_itself_and_with_spade():
    rows = load_recipe(RECIPES / "systems" / "cocosnet_faces.yaml", [], Registry()).rows
    assert {name: (row.translator.use, row.strategy.use) for name, row in rows.items()} == {
        "Copy": ("cocosnet", "copy"),
        "SPADE": ("spade", "none"),
        "No exemplar": ("cocosnet", "none"),
        "CoCosNet": ("cocosnet", "none"),
    }


def test_the_full_recipe_has_the_published_rates_and_epsilons():
    row = load_recipe(RECIPES / "full" / "cocosnet_celeba.yaml", [], Registry()).rows["CoCosNet"]
    pretrain = row.pretrain
    assert (pretrain.lr, pretrain.betas, pretrain.anneal, pretrain.batch) == (1e-4, (0.0, 0.9), 0.5, 32)
    assert {name: player.eps for name, player in pretrain.players.items()} == {
        "generator": 1e-3,
        "correspondence": 1e-3,
        "discriminator": None,
    }
    assert pretrain.players["discriminator"].lr == pytest.approx(4 * pretrain.lr)
    assert pretrain.iterations == 60 * 28_000 // 32
