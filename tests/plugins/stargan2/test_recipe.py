"""StarGAN v2's recipes: what their rows compare, and the published settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from metai2i.recipe import load_recipe
from metai2i.registry import Registry

RECIPES = Path(__file__).parents[3] / "recipes"


def rows_of(name):
    return load_recipe(RECIPES / f"{name}.yaml", [], Registry()).rows


@pytest.mark.parametrize("name", ["systems/stargan2_animals", "systems/stargan2_emoji_meta"])
def test_rows_that_differ_in_steps_alone_make_curves_and_train_for_as_long(name):
    rows = rows_of(name)
    curves = dict.fromkeys(("Fine-tuned", "Joint", "Heads alone"), (5, 20)) | dict.fromkeys(
        ("Reptile", "ANIL on heads", "BiL, first order"), (0, 5, 20)
    )
    for title, steps in curves.items():
        of_title = [rows[f"{title}, {number} steps"] for number in steps]
        assert tuple(row.adapt.iterations for row in of_title) == steps
        same = {row.model_dump_json(exclude={"adapt": {"iterations"}, "baseline": True}) for row in of_title}
        assert len(same) == 1
    assert len(rows) == 2 + sum(map(len, curves.values()))
    for title in ("StarGAN v2", "Fine-tuned, 20 steps", "Joint, 20 steps", "Heads alone, 20 steps"):
        assert rows[title].continued.match == "Reptile, 20 steps"
    for steps in (5, 20):  # the same parameters, from the plain start and from the meta-trained one
        plain, meta = rows[f"Heads alone, {steps} steps"], rows[f"ANIL on heads, {steps} steps"]
        assert plain.strategy == meta.strategy
        assert (plain.metatrain.iterations, meta.baseline) == (0, f"Heads alone, {steps} steps")


@pytest.mark.parametrize("name", ["systems/stargan2_animals", "systems/stargan2_emoji_meta"])
def test_every_rate_is_chosen_from_the_same_ones(name):
    rows = rows_of(name)
    tuned = {title: row.tune for title, row in rows.items() if row.tune is not None}
    assert set(rows) - set(tuned) == {"Source", "StarGAN v2"}
    assert len(set(map(repr, tuned.values()))) == 1


def test_animals_that_choose_rates_neither_train_nor_test():
    options = rows_of("systems/stargan2_animals")["StarGAN v2"].tasks.options
    assert options["val"] == ("dog", "panda")
    assert set(options["folders"]) == {"cat", "man", "woman", *options["val"]}
    assert options["unseen_root"] is not None


@pytest.mark.parametrize(
    ("name", "diversity", "high_pass"), [("full/stargan2_afhq", 2.0, 0.0), ("full/stargan2_celeba_hq", 1.0, 1.0)]
)
def test_the_full_recipes_have_the_published_settings(name, diversity, high_pass):
    row = rows_of(name)["By latents"]
    options, pretrain = row.translator.options, row.pretrain
    assert (options["diversity"], options["high_pass"], options["penalty"]) == (diversity, high_pass, 1.0)
    assert (options["style"], options["latent"], options["hidden"], options["widest"]) == (64, 16, 512, 512)
    assert options["width"] is None
    assert (pretrain.iterations, pretrain.batch, pretrain.lr) == (100_000, 8, 1e-4)
    assert (pretrain.betas, pretrain.weight_decay, pretrain.average.decay) == ((0.0, 0.99), 1e-4, 0.999)
    assert set(pretrain.average.players) == {"generator", "mapping", "style"}
    assert row.tasks.options["size"] == (256, 256)
    assert row.tasks.options["itself"]
