import pytest

from metai2i.errors import UserErrors
from metai2i.recipe.grid import grid_rows
from metai2i.recipe.positions import parse_yaml


def grid(text):
    return grid_rows(parse_yaml(text, "f"))


def messages(text):
    with pytest.raises(UserErrors) as caught:
        grid(text)
    return [str(error) for error in caught.value.errors]


def test_the_product_of_the_axes_becomes_rows():
    rows = grid(
        "axes: {strategy.use: [finetune, bil], adapt.iterations: [5, 20]}\nname: '{strategy.use} @{adapt.iterations}'\n"
    )
    assert {name: row.plain() for name, row in rows.items()} == {
        "finetune @5": {"strategy": {"use": "finetune"}, "adapt": {"iterations": 5}},
        "finetune @20": {"strategy": {"use": "finetune"}, "adapt": {"iterations": 20}},
        "bil @5": {"strategy": {"use": "bil"}, "adapt": {"iterations": 5}},
        "bil @20": {"strategy": {"use": "bil"}, "adapt": {"iterations": 20}},
    }
    assert list(rows) == ["finetune @5", "finetune @20", "bil @5", "bil @20"]


def test_without_a_name_rows_are_called_after_their_point():
    assert list(grid("axes: {adapt.lr: [1e-4], pretrain.clip: [null, 1]}")) == [
        "adapt.lr=0.0001, pretrain.clip=null",
        "adapt.lr=0.0001, pretrain.clip=1",
    ]


def test_axes_of_one_section_are_merged():
    rows = grid("axes: {strategy.use: [bil], strategy.order: [1, 2]}")
    assert [row.plain() for row in rows.values()] == [
        {"strategy": {"use": "bil", "order": 1}},
        {"strategy": {"use": "bil", "order": 2}},
    ]


def test_a_value_may_be_a_section_and_is_called_after_its_component():
    rows = grid("{axes: {strategy: [{use: bil, order: 2}, {use: none}], retriever: [null]}, name: '{strategy}'}")
    assert {name: row.plain() for name, row in rows.items()} == {
        "bil": {"strategy": {"use": "bil", "order": 2}, "retriever": None},
        "none": {"strategy": {"use": "none"}, "retriever": None},
    }


MULTIPLIED = """
rows:
  A: {adapt: {lr: 0.5, iterations: 3}}
  B: {baseline: A, continued: {match: A}}
grid: {axes: {adapt.iterations: [0, 5]}, name: "{row} @{adapt.iterations}"}
"""


def multiply(text):
    tree = parse_yaml(text, "f")
    return {name: row.plain() for name, row in grid_rows(tree.get("grid"), tree.get("rows").value).items()}


def test_rows_that_are_written_are_spelled_out_at_every_point():
    rows = multiply(MULTIPLIED)
    assert list(rows) == ["A @0", "A @5", "B @0", "B @5"]
    assert rows["A @5"] == {"adapt": {"lr": 0.5, "iterations": 5}}


def test_a_row_that_is_named_is_the_one_at_the_same_point():
    rows = multiply(MULTIPLIED.replace("match: A", "match: other"))
    assert rows["B @5"] == {"baseline": "A @5", "continued": {"match": "other"}, "adapt": {"iterations": 5}}
    assert multiply(MULTIPLIED)["B @0"]["continued"] == {"match": "A @0"}
    assert multiply(MULTIPLIED.replace("continued", "tune"))["B @0"]["tune"] == {"match": "A @0"}


def test_a_row_with_the_name_of_a_spelled_out_one_is_not_spelled_out_itself():
    rows = multiply(MULTIPLIED.replace("grid:", "  A @5: {adapt: {lr: 0.25}}\ngrid:"))
    assert list(rows) == ["A @0", "A @5", "B @0", "B @5"]


def test_values_keep_their_places():
    rows = grid("axes:\n  adapt.iterations: [5, 20]\n")
    assert [str(row.locate(("adapt", "iterations"))) for row in rows.values()] == ["f:2:22", "f:2:25"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", "f:1:1: grid: expected `axes`, a section of lists (axes: {adapt.iterations: [5, 20]})"),
        ("{axes: [a]}", "f:1:8: grid: expected `axes`, a section of lists (axes: {adapt.iterations: [5, 20]})"),
        ("{axes: {a: [1]}, nane: x}", "f:1:18: grid: unknown key 'nane' (did you mean 'name'?)"),
        ("{axes: {adapt.lr: 3}}", "f:1:19: grid: expected a list of values for 'adapt.lr'"),
        ("{axes: {adapt.lr: []}}", "f:1:19: grid: expected a list of values for 'adapt.lr'"),
        ("{axes: {adapt..lr: [1]}}", "f:1:9: grid: 'adapt..lr' is no path such as adapt.iterations"),
        ("{axes: {a: [1]}, name: 3}", "f:1:24: grid: name: expected a string"),
        ("{axes: {adapt.lr: [1]}, name: '{adapt.rl}'}",
         "f:1:31: grid: name: no axis is called 'adapt.rl' (did you mean 'adapt.lr'?)"),
        ("{axes: {a: [1, 2], b: [3]}, name: '{b}'}",
         "f:1:35: grid: two rows are called '3' (name every axis in `name`)"),
    ],
)  # fmt: skip
def test_mistakes_are_told(text, expected):
    assert messages(text) == [expected]


def test_mistakes_are_told_together():
    assert len(messages("{axes: {a: 1, b: []}, nam: x, name: '{c}'}")) == 4
