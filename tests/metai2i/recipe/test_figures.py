"""`figures:` of a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from metai2i.recipe import dump_yaml, load_recipe
from metai2i.recipe.schema import UnadaptedColumn

BASE = """\
tasks: {use: folder, root: data/street}
translator: {use: line}
evaluate: {images: 6}
rows:
  GP: {strategy: {use: plain}}
  Meta (5-shot): {strategy: {use: meta}, episodes: {queries: 2}}
"""


def test_columns_are_rows_general_models_and_what_rows_share(load):
    columns = "[structure, reference, support, general: GP, Meta (5-shot), truth]"
    recipe = load(BASE + f"figures: {{Faces: {{columns: {columns}, tasks: 6, queries: 2}}}}\n")
    figure = recipe.figures["Faces"]
    assert figure.columns == (
        "structure",
        "reference",
        "support",
        UnadaptedColumn(general="GP"),
        "Meta (5-shot)",
        "truth",
    )
    assert (figure.tasks, figure.queries) == (6, 2)


def test_no_figures_none_at_all_and_defaults(load):
    assert load(BASE).figures is None
    assert load(BASE + "figures: {}\n").figures == {}
    figure = load(BASE + "figures: {A: {columns: [GP]}}\n").figures["A"]
    assert (figure.tasks, figure.queries) == (None, 1)


def test_there_are_as_many_queries_to_show_as_are_scored(load, errors_of):
    scored = BASE.replace("{images: 6}", "{images: 6, queries: 3}")
    assert load(scored + "figures: {A: {columns: [GP], queries: 3}}\n").figures["A"].queries == 3
    assert errors_of(scored + "figures: {A: {columns: [GP], queries: 4}}\n") == [
        "recipe.yaml:7:39: figures.A.queries: got 4, but evaluate.queries of row 'GP' is 3 (raise evaluate.queries)"
    ]


def test_a_resolved_recipe_has_the_same_figures(load, registry):
    recipe = load(BASE + "figures: {A: {columns: [general: GP, truth]}, B: {columns: [GP], tasks: 3}}\n")
    Path("resolved.yaml").write_text(dump_yaml(recipe.resolved))
    assert load_recipe("resolved.yaml", (), registry).figures == recipe.figures
    assert yaml.safe_load(Path("resolved.yaml").read_text())["figures"]["A"]["columns"] == [{"general": "GP"}, "truth"]


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        ("{columns: [struture]}", "7:28: figures.A: no row or column is called 'struture' (did you mean 'structure'?)"),
        ("{columns: [GP, Meta]}", "7:32: figures.A: no row or column is called 'Meta' (known: GP, Meta (5-shot), "
         "reference, structure, support, truth)"),
        ("{columns: [general: Meta 5-shot]}", "7:37: figures.A: no row is called 'Meta 5-shot' (did you mean "
         "'Meta (5-shot)'?)"),
        ("{columns: [general: truth]}", "7:37: figures.A: no row is called 'truth' (known: GP, Meta (5-shot))"),
        ("{columns: [GP], tasks: 7}", "7:40: figures.A.tasks: got 7, but evaluate.images of row 'GP' is 6 "
         "(raise evaluate.images)"),
        ("{columns: [GP, general: Meta (5-shot)], queries: 3}", "7:66: figures.A.queries: got 3, but episodes.queries "
         "of row 'Meta (5-shot)' is 2 (raise episodes.queries)"),
        ("{columns: [GP], queries: 6}", "7:42: figures.A.queries: got 6, expected at most 5"),
        ("{columns: []}", "7:27: figures.A.columns: got [], expected at least 1 item"),
        ("{tasks: 1}", "7:14: figures.A: key 'columns' is missing"),
    ],
)  # fmt: skip
def test_mistakes_are_told_where_they_stand(errors_of, figure, expected):
    errors = errors_of(BASE + f"figures: {{   A: {figure}}}\n")
    assert errors == [f"recipe.yaml:{expected}"]
