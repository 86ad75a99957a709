"""`--rows`: some of a recipe's rows."""

from __future__ import annotations

import pytest

from metai2i import UserError
from metai2i.recipe import dump_yaml, load_recipe, select

TABLE = """\
tasks: {use: detailed, root: data/street}
translator: {use: line}
compare: {baseline: Line (5-shot)}
rows:
  Copy: {strategy: {use: plain}}
  Line (5-shot): {strategy: {use: plain}, continued: {match: BiL-Line}}
  BiL-Line: {strategy: {use: meta}}
  Edges (5-shot): {translator: {use: edges}, strategy: {use: plain}}
  BiL-Edges: {translator: {use: edges}, strategy: {use: meta}, baseline: Edges (5-shot)}
"""


@pytest.mark.parametrize(
    ("patterns", "kept"),
    [
        ([], ["Copy", "Line (5-shot)", "BiL-Line", "Edges (5-shot)", "BiL-Edges"]),
        (["*Edges*"], ["Edges (5-shot)", "BiL-Edges"]),
        (["BiL-Edges"], ["Edges (5-shot)", "BiL-Edges"]),  # and what it is compared with
        (["Edges (5-shot)"], ["Edges (5-shot)"]),  # others are compared with it: it is compared with nothing
        (["BiL-Line"], ["Line (5-shot)", "BiL-Line"]),
        (["Copy"], ["Copy", "Line (5-shot)", "BiL-Line"]),  # whose budget its baseline matches
        (["BiL-?????", "Copy"], ["Copy", "Line (5-shot)", "BiL-Line", "Edges (5-shot)", "BiL-Edges"]),
    ],
)
def test_rows_are_chosen_by_name_and_bring_those_that_they_name(load, patterns, kept):
    assert list(select(load(TABLE), patterns).rows) == kept


def test_several_rows_in_one_option_are_told_to_stand_behind_an_option_each(load):
    with pytest.raises(UserError) as refused:
        select(load(TABLE), ["Copy, Line (5-shot)"])
    assert refused.value.hint == "name each row by itself: --rows Copy --rows 'Line (5-shot)'"


def test_a_row_brings_the_one_as_which_it_adapts(load):
    rows = "rows: {A: {strategy: {use: plain}, tune: {lr: [1e-3]}}, B: {strategy: {use: plain}, tune: {match: A}}}\n"
    assert list(select(load(TABLE.partition("compare")[0] + rows), ["B"]).rows) == ["A", "B"]


def test_what_is_chosen_is_a_recipe_of_its_own(load, write, registry):
    for patterns in (["*Edges*"], ["BiL-Line"]):
        chosen = select(load(TABLE), patterns)
        again = load_recipe(write(dump_yaml(chosen.resolved), "chosen.yaml"), (), registry)
        assert (again.rows, again.compare, again.figures) == (chosen.rows, chosen.compare, chosen.figures)
    assert select(load(TABLE), ["*Edges*"]).compare.baseline is None


def test_figures_of_rows_that_are_left_out_are_left_out(load):
    shown = "figures: {A: {columns: [structure, BiL-Line]}, B: {columns: [general: BiL-Edges, truth]}}\n"
    assert set(select(load(TABLE + shown), ["*Edges*"]).figures) == {"B"}
    assert select(load(TABLE + "figures: {A: {columns: [BiL-Line]}}\n"), ["*Edges*"]).figures is None
    assert select(load(TABLE + "figures: {}\n"), ["*Edges*"]).figures == {}


def test_a_pattern_of_no_row_is_told_with_the_nearest(load):
    with pytest.raises(UserError, match=r"--rows: no row is called 'BiL-Edge' \(did you mean 'BiL-Edges'\?\)"):
        select(load(TABLE), ["BiL-Edge"])
