"""The recipes of published settings on the official downloads."""

from pathlib import Path

import pytest

from metai2i.recipe import load_recipe
from metai2i.registry import Registry

FULL = Path(__file__).parents[3] / "recipes" / "full"
ADE, CELEB, FASHION = "ade20k", "celeba", "deepfashion"


def row(name: str):
    return load_recipe(FULL / f"cocosnet_{name}.yaml", [], Registry()).rows["CoCosNet"]


@pytest.mark.parametrize(
    ("name", "epochs", "photographs"), [(ADE, 200, 20_210), (CELEB, 60, 28_000), (FASHION, 100, 38_000)]
)
def test_training_is_as_long_and_as_fast_as_published(name, epochs, photographs):
    pretrain = row(name).pretrain
    assert pretrain.iterations == epochs * photographs // 32
    assert (pretrain.batch, pretrain.betas, pretrain.anneal, pretrain.lr) == (32, (0.0, 0.9), 0.5, 1e-4)
    assert {name: (player.lr, player.eps) for name, player in pretrain.players.items()} == {
        "generator": (None, 1e-3),
        "correspondence": (None, 1e-3),
        "discriminator": (4e-4, None),
    }


@pytest.mark.parametrize("name", [ADE, CELEB])
def test_exemplars_of_lists_are_drawn_as_published(name):
    reference = row(name).reference
    shares = reference["self_share"], (1 - reference["self_share"]) * reference["hard"]
    assert shares == pytest.approx((0.3, 0.2), abs=1e-3)


def test_each_reads_the_official_download():
    tasks = {name: row(name).tasks for name in (ADE, CELEB, FASHION)}
    assert {each.use for each in tasks.values()} == {"exemplars"}
    layouts = [tasks[name].options["layout"] for name in (ADE, CELEB, FASHION)]
    assert layouts == ["ade20k", "celebamask", "deepfashion"]
    assert tasks[CELEB].options["glasses"] == "apart"


@pytest.mark.parametrize(
    ("name", "published"),
    [
        (ADE, {"kernel": 3, "perceptual": 0.01, "perceptual_layer": "relu5_2", "self_features": 1, "mask": 100}),
        (CELEB, {"kernel": 4, "perceptual": 0.001, "perceptual_layer": "relu4_2", "cycle": 0.1, "mask": 100}),
        (FASHION, {"kernel": 4, "perceptual": 0.001, "self_warp": 100, "mask": 0, "map_too": False, "warp": "patches"}),
    ],
)
def test_losses_have_the_published_weights(name, published):
    from inspect import signature

    from metai2i_cocosnet.translator import Cocosnet

    given = row(name).translator.options
    defaults = {option: parameter.default for option, parameter in signature(Cocosnet).parameters.items()}
    assert {option: given.get(option, defaults[option]) for option in published} == published


@pytest.mark.parametrize("name", [ADE, CELEB, FASHION])
def test_rates_are_named_for_players_that_there_are(name):
    from metai2i_cocosnet.translator import Cocosnet

    from metai2i import Objective, TaskSpec

    rows = load_recipe(FULL / f"cocosnet_{name}.yaml", [], Registry()).rows
    small = {"width": 2, "c_width": 2, "d_width": 2}
    for each in rows.values():
        options = {**each.translator.options, **small}
        players = Cocosnet(spec=TaskSpec(3, (256, 256)), objective=Objective(**each.objective), **options).players()
        assert set(each.pretrain.players) == set(players)
