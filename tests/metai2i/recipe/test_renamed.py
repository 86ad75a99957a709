"""Sections that are called otherwise now: a recipe with the old names is the same recipe, and says so once."""

from __future__ import annotations

import pytest
import torch

from metai2i.errors import UserErrors
from metai2i.pipeline.assemble import Assembler
from metai2i.pipeline.plan import plan
from metai2i.recipe import load_recipe
from metai2i.recipe.renamed import RENAMED, plain_with_new_keys
from metai2i.registry import Registry

DRAWN = """\
tasks: {use: scenes, size: [32, 32], train: 2, val: 1, test: 1}
translator: {use: pix2pix, width: 4, d_width: 4, d_layers: 1}
colour_jitter: {tint: 0.2}
rows:
  Meta: {strategy: {use: reptile}, colour_jitter: null}
  Long: {strategy: {use: finetune}, continued: {match: Meta, anneal: true}}
  Short: {strategy: {use: finetune}, continued: {iterations: 3}}
"""
BASE = "tasks: {use: folder, root: data}\ntranslator: {use: line}\nstrategy: {use: meta}\n"


def before(text: str) -> str:
    """A recipe with the names of before."""
    for old, new in RENAMED.items():
        text = text.replace(new, old)
    return text


def test_a_row_has_the_same_stages_by_its_old_and_its_new_keys(write):
    registry, keys = Registry(), []
    for text in (DRAWN, before(DRAWN)):
        recipe = load_recipe(write(text), (), registry)
        planned = plan(recipe.rows, Assembler(registry, recipe.seed, torch.device("cpu")), recipe.seed)
        keys.append({row.name: [(stage.name, stage.key) for stage in row.stages] for row in planned})
    assert all(old in before(DRAWN) for old in RENAMED)
    assert keys[0] == keys[1]
    assert [name for name, _ in keys[0]["Long"]] == ["pretrain", "continued", "evaluate"]


def test_a_recipe_with_old_keys_is_kept_with_the_new_ones(write):
    new, old = (load_recipe(write(text), (), Registry()).resolved for text in (DRAWN, before(DRAWN)))
    assert new == old
    assert not RENAMED.keys() & {*old, *old["rows"]["Long"]}


def test_each_old_key_is_noted_once_with_its_first_place(load):
    recipe = load(BASE + "looks: {tint: 0.2}\nrows:\n  A: {looks: null}\n  B: {further: {iterations: 3}, looks: {}}\n")
    assert recipe.notes == (
        "recipe.yaml:4:1: `looks` is called `colour_jitter` now (and in 2 more places); the old name still works",
        "recipe.yaml:7:7: `further` is called `continued` now; the old name still works",
    )
    assert [row.colour_jitter is None for row in recipe.rows.values()] == [True, False]
    assert recipe.rows["B"].continued.iterations == 3


def test_a_recipe_with_the_new_keys_has_no_notes(load):
    assert load(BASE + "colour_jitter: {}\ncontinued: {iterations: 2}\n", "continued.iterations=3").notes == ()


def test_overrides_may_have_old_keys(load):
    overrides = ("looks.tint=0.1", "rows.*.further.iterations=4", "looks={hue: 0.1}")
    recipe = load(BASE + "colour_jitter: {tint: 0.3}\nrows: {A: {}, B: {}}\n", *overrides)
    assert recipe.notes == (
        "command line: looks.tint=0.1: `looks` is called `colour_jitter` now (and in 1 more place); the old name "
        "still works",
        "command line: rows.*.further.iterations=4: `further` is called `continued` now; the old name still works",
    )
    assert {row.continued.iterations for row in recipe.rows.values()} == {4}
    assert {(row.colour_jitter["tint"], row.colour_jitter["hue"]) for row in recipe.rows.values()} == {(0.1, 0.1)}
    assert [reach.changed for reach in recipe.overrides] == [{"A", "B"}] * 3


def test_a_grid_may_have_old_keys_and_its_rows_keep_their_names(load):
    text = BASE + "grid: {axes: {further.iterations: [1, 2], looks: [null]}}\n"
    recipe = load(text)
    assert {name: row.continued.iterations for name, row in recipe.rows.items()} == {
        "further.iterations=1, looks=null": 1,
        "further.iterations=2, looks=null": 2,
    }
    named = load(BASE + 'grid: {axes: {further.iterations: [1, 2]}, name: "after {further.iterations}"}\n')
    assert list(named.rows) == ["after 1", "after 2"]
    assert named.notes == ("recipe.yaml:4:15: `further` is called `continued` now; the old name still works",)


def test_a_recipe_may_extend_one_that_has_the_old_keys(write, registry):
    write(BASE + "looks: {tint: 0.2, hue: 0.3}\n", "base.yaml")
    recipe = load_recipe(write("extends: base.yaml\ncolour_jitter: {hue: 0.1}\n"), (), registry)
    (row,) = recipe.rows.values()
    assert (row.colour_jitter["tint"], row.colour_jitter["hue"]) == (0.2, 0.1)
    assert recipe.notes[0].startswith("base.yaml:4:1: `looks`")


def test_what_is_wrong_under_an_old_key_is_told_at_its_place(errors_of):
    assert errors_of(BASE + "looks: {tnit: 0.2}\n") == [
        "recipe.yaml:4:9: colour_jitter: unknown option 'tnit' (did you mean 'tint'?)"
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("looks: {}\ncolour_jitter: {}\n", "4:1"),
        ("rows: {A: {colour_jitter: {}, looks: {}}}\n", "4:31"),
        ("grid: {axes: {looks: [null], colour_jitter: [{}]}}\n", "4:15"),
    ],
    ids=["for all rows", "in a row", "in a grid"],
)
def test_both_names_at_once_are_refused(errors_of, text, place):
    assert errors_of(BASE + text) == [
        f"recipe.yaml:{place}: 'looks' and 'colour_jitter' are one key by its old and its new name: give one of the "
        "two (keep colour_jitter)"
    ]


def test_an_override_with_both_names_is_refused(write, registry):
    with pytest.raises(UserErrors, match="'further' and 'continued' are one key"):
        load_recipe(write(BASE), ["rows.recipe={further: {iterations: 1}, continued: {iterations: 2}}"], registry)


def test_the_recipe_of_an_older_run_is_read_with_the_new_keys():
    recipe = {"looks": None, "rows": {"A": {"further": {"match": "B"}, "strategy": {}}, "B": None}}
    assert plain_with_new_keys(recipe) == {
        "colour_jitter": None,
        "rows": {"A": {"continued": {"match": "B"}, "strategy": {}}, "B": None},
    }
