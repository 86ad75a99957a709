"""`compare.best` of a recipe: groups of rows that were tuned on the same scenes."""

from __future__ import annotations

import pytest

from metai2i.recipe.selection import select

BASE = """\
tasks: {use: folder, root: data/street}
translator: {use: line}
tune: {lr: [1e-3, 2e-3], tasks: 8}
rows:
  A: {strategy: {use: plain}}
  B: {strategy: {use: plain}, adapt: {batch: 3}}
  C: {strategy: {use: plain}, tune: {match: A}}
  D: {strategy: {use: meta}, tune: null}
  E: {strategy: {use: meta}, tune: {tasks: 4}}
  G: {strategy: {use: meta}}
"""


def best(groups: str) -> str:
    return f"{BASE}compare: {{best: {groups}}}\n"


def test_groups_are_rows_by_a_name(load):
    assert load(best("{Plain: [A, B], Meta: [C, G]}")).compare.best == {"Plain": ("A", "B"), "Meta": ("C", "G")}
    assert load(BASE).compare.best == {}


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ("{Plain: [A, B]}", "11:17: compare.best: there is one group only (add the group that it is compared with, as "
         "the first)"),
        ("{Plain: [A], Meta: []}", "11:36: compare.best.Meta: no row is named (Meta: [a row])"),
        ("{Plain: [A], Meta: [F]}", "11:37: compare.best.Meta: no row is called 'F' (known: A, B, C, D, E, G)"),
        ("{Plain: [A, B], Meta: [G, B]}", "11:43: compare.best.Meta: 'B' is in 'Plain' already"),
        ("{Plain: [A], Meta: [D]}", "11:37: compare.best.Meta: 'D' is not tuned, so nothing is known of it on "
         "validation scenes (tune: {lr: [a rate]})"),
        ("{Plain: [A], Meta: [E]}", "11:37: compare.best.Meta: 'E' is tuned by another metric or on other scenes than "
         "'A' (give both the same tune.metric and tune.tasks)"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_told_with_its_place(errors_of, groups, expected):
    assert errors_of(best(groups)) == [f"recipe.yaml:{expected}"]


def test_fewer_rows_leave_smaller_groups_and_a_lone_one_leaves_none(load):
    recipe = load(best("{Plain: [A, B], Meta: [C, G]}"))
    assert select(recipe, ["A", "G"]).compare.best == {"Plain": ("A",), "Meta": ("G",)}
    assert select(recipe, ["A", "B"]).compare.best == {}
