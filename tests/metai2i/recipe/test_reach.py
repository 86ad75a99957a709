"""Which rows an override reaches is told: one that changes nothing must not pass in silence."""

from __future__ import annotations

import pytest

TABLE = """\
tasks: {use: folder, root: data}
translator: {use: line}
metatrain: {iterations: 100, tasks: 3}
rows:
  Plain: {strategy: {use: plain}}
  Meta: {strategy: {use: meta}}
  Long: {strategy: {use: meta, order: 3}, metatrain: {iterations: 500}}
  Longer: {strategy: {use: meta}, metatrain: {iterations: 900}}
"""


@pytest.fixture
def remarks_of(load):
    """What is told of overrides of the table."""

    def remarks(*overrides, text=TABLE):
        recipe = load(text, *overrides)
        return [reach.sentence(recipe.rows) for reach in recipe.overrides]

    return remarks


def test_rows_with_a_value_of_their_own_are_counted_out_and_the_form_that_reaches_them_is_named(remarks_of):
    assert remarks_of("metatrain.iterations=12") == [
        (True, "metatrain.iterations=12 changes 1 of 4 rows ('Plain': strategy 'plain' does not meta-train; 'Long': "
         "500, of its own; and 1 other value); 'rows.*.metatrain.iterations=12' reaches every row"),
    ]  # fmt: skip


def test_an_override_that_changes_nothing_is_known(remarks_of):
    text = TABLE.replace("  Meta: {strategy: {use: meta}}\n", "")
    assert remarks_of("metatrain.iterations=12", text=text) == [
        (False, "metatrain.iterations=12 changes 0 of 3 rows ('Plain': strategy 'plain' does not meta-train; 'Long': "
         "500, of its own; and 1 other value); 'rows.*.metatrain.iterations=12' reaches every row"),
    ]  # fmt: skip


def test_the_form_that_is_named_reaches_every_row(remarks_of, load):
    assert remarks_of("rows.*.metatrain.iterations=12") == [
        (True, "rows.*.metatrain.iterations=12 changes 3 of 4 rows ('Plain': strategy 'plain' does not meta-train)")
    ]
    rows = load(TABLE, "rows.*.metatrain.iterations=12").rows
    assert {row.metatrain.iterations for row in rows.values()} == {12}


def test_a_pattern_reaches_the_rows_that_it_fits_and_the_later_override_wins(load, remarks_of):
    overrides = ("rows.Long*.metatrain.iterations=7", "rows.Longer.metatrain.iterations=8", "rows.*.adapt.lr=0.5")
    rows = load(TABLE, *overrides).rows
    assert [row.metatrain.iterations for row in rows.values()] == [100, 100, 7, 8]
    assert {row.adapt.lr for row in rows.values()} == {0.5}
    assert remarks_of(*overrides) == [
        (True, "rows.Long*.metatrain.iterations=7 changes 1 of 4 rows"),
        (True, "rows.Longer.metatrain.iterations=8 changes 1 of 4 rows"),
        (True, "rows.*.adapt.lr=0.5 changes 4 of 4 rows"),
    ]
    swapped = load(TABLE, *overrides[1::-1]).rows
    assert [swapped[name].metatrain.iterations for name in ("Long", "Longer")] == [7, 7]


def test_a_value_that_is_there_anyway_changes_nothing(remarks_of):
    assert remarks_of("metatrain.tasks=3", "adapt.iterations=20") == [
        (False, "metatrain.tasks=3 changes 0 of 4 rows ('Plain': strategy 'plain' does not meta-train; 'Meta', 'Long' "
         "and 1 more: as it is anyway)"),
        (False, "adapt.iterations=20 changes 0 of 4 rows ('Plain', 'Meta' and 2 more: as it is anyway)"),
    ]  # fmt: skip


def test_an_override_that_another_sets_again_is_told(remarks_of):
    assert remarks_of("adapt.lr=0.5", "adapt.lr=0.25") == [
        (False, "adapt.lr=0.5 changes 0 of 4 rows ('Plain', 'Meta' and 2 more: 0.25, by another override)"),
        (True, "adapt.lr=0.25 changes 4 of 4 rows"),
    ]
    assert remarks_of("rows.Meta.adapt.lr=1", "rows.*.adapt.lr=2")[0] == (
        False, "rows.Meta.adapt.lr=1 changes 0 of 4 rows (another override sets it again)",
    )  # fmt: skip


def test_a_component_does_not_reach_rows_that_name_their_own(remarks_of):
    assert remarks_of("strategy.use=meta") == [
        (False, "strategy.use=meta changes 0 of 4 rows ('Plain': plain, of its own; 'Meta', 'Long' and "
         "1 more: meta, of its own); 'rows.*.strategy.use=meta' reaches every row"),
    ]  # fmt: skip
    assert remarks_of("retriever.use=near", "aux.tasks=2") == [
        (True, "retriever.use=near changes 4 of 4 rows"),
        (True, "aux.tasks=2 changes 4 of 4 rows"),
    ]
    assert remarks_of("aux.tasks=2") == [
        (False, "aux.tasks=2 changes 0 of 4 rows ('Plain', 'Meta' and 2 more: no retriever)")
    ]


def test_a_section_of_several_keys_is_one_override(remarks_of):
    assert remarks_of("metatrain={iterations: 9, lr: 0.5}") == [
        (True, "metatrain={iterations: 9, lr: 0.5} changes 3 of 4 rows ('Plain': strategy 'plain' does not "
         "meta-train)"),
    ]  # fmt: skip


def test_what_the_recipe_says_once_is_not_about_rows(remarks_of):
    assert remarks_of("seed=3", "compare.metric=ssim", "description=x") == []


def test_a_recipe_of_one_row_is_reached_by_every_pattern(remarks_of, load):
    text = "tasks: {use: folder, root: data}\ntranslator: {use: line}\nstrategy: {use: meta}\n"
    assert remarks_of("adapt.lr=1", "rows.*.adapt.batch=2", text=text) == [
        (True, "adapt.lr=1 changes 1 of 1 row"),
        (True, "rows.*.adapt.batch=2 changes 1 of 1 row"),
    ]
    recipe = load(text, "rows.*.adapt.batch=2")
    assert list(recipe.rows) == ["recipe"]
    assert recipe.rows["recipe"].adapt.batch == 2


def test_of_the_rows_that_are_run_alone_is_told(load):
    recipe = load(TABLE, "metatrain.iterations=12")
    (reach,) = recipe.overrides
    assert reach.sentence(["Longer"]) == (
        False, "metatrain.iterations=12 changes 0 of 1 row ('Longer': 900, of its own); "
        "'rows.*.metatrain.iterations=12' reaches every row",
    )  # fmt: skip


ORIGINS = ("Plain", "Meta", "Long", "Longer")
GRID = TABLE + "grid: {axes: {adapt.iterations: [1, 5]}, name: '{row} @{adapt.iterations}'}\n"


def test_rows_of_a_grid_are_reached_one_by_one_and_keep_their_order(load):
    names = list(load(GRID).rows)
    rows = load(GRID, "rows.Meta*.adapt.iterations=9", "rows.Long.adapt.lr=0.5", "rows.*@5.adapt.batch=2").rows
    assert list(rows) == names
    assert [row.adapt.iterations for row in rows.values()] == [1, 5, 9, 9, 1, 5, 1, 5]
    assert [name for name, row in rows.items() if row.adapt.lr == 0.5] == ["Long @1", "Long @5"]
    assert [name for name, row in rows.items() if row.adapt.batch == 2] == [
        "Plain @5",
        "Meta @5",
        "Long @5",
        "Longer @5",
    ]


def test_a_row_with_dots_in_its_name_is_named_in_quotes(load):
    text = TABLE.replace("Longer:", "lr=0.5:")
    assert load(text, 'rows."lr=0.5".adapt.lr=0.5').rows["lr=0.5"].adapt.lr == 0.5


def test_a_resolved_recipe_has_what_was_set_and_no_overrides(load, write, registry):
    from metai2i.recipe import dump_yaml, load_recipe

    recipe = load(TABLE, "rows.*.adapt.lr=0.5", "tasks.root=010")
    again = load_recipe(write(dump_yaml(recipe.resolved), "resolved.yaml"), (), registry)
    assert (again.rows, again.overrides) == (recipe.rows, ())
    assert str(again.rows["Meta"].tasks.options["root"]) == "010"
