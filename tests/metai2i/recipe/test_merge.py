from hypothesis import given
from hypothesis import strategies as st

from metai2i.errors import Location
from metai2i.recipe.merge import merge, nest
from metai2i.recipe.positions import Node, dump_yaml, parse_yaml

NAMES = st.sampled_from(["a", "b", "c", "d"])
TREES = st.recursive(st.integers(0, 3), lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=8).filter(
    lambda tree: isinstance(tree, dict)
)


def node(data, file="f"):
    return parse_yaml(dump_yaml(data), file)


def merged(*pieces):
    first, *rest = map(node, pieces)
    for piece in rest:
        first = merge(first, piece)
    return first.plain()


@given(TREES)
def test_nothing_merged_over_or_under_changes_nothing(tree):
    assert merged(tree, {}) == tree
    assert merged({}, tree) == tree


@given(TREES)
def test_merging_twice_is_merging_once(tree):
    assert merged(tree, tree) == tree


@given(TREES, TREES)
def test_what_lies_on_top_is_all_there(base, over):
    def within(small, large):
        if not isinstance(small, dict):
            return small == large
        return isinstance(large, dict) and all(key in large and within(small[key], large[key]) for key in small)

    assert within(over, merged(base, over))


def test_sections_are_merged_key_by_key_and_lists_are_replaced():
    assert merged({"a": {"x": 1, "y": [1, 2]}}, {"a": {"y": [3]}, "b": 2}) == {"a": {"x": 1, "y": [3]}, "b": 2}


def test_another_component_drops_the_options_of_the_old_one():
    base = {"strategy": {"use": "bil", "order": 2}}
    assert merged(base, {"strategy": {"use": "none"}}) == {"strategy": {"use": "none"}}
    assert merged(base, {"strategy": {"use": "bil"}}) == base
    assert merged(base, {"strategy": {"order": 1}}) == {"strategy": {"use": "bil", "order": 1}}


def test_null_takes_a_section_away():
    assert merged({"retriever": {"use": "iou"}}, {"retriever": None}) == {"retriever": None}
    assert merged({"retriever": None}, {"retriever": {"use": "iou"}}) == {"retriever": {"use": "iou"}}


def test_values_keep_their_places():
    both = merge(node({"a": {"x": 1, "y": 2}}, "base"), node({"a": {"y": 3}}, "over"))
    assert both.locate(("a", "x")).file == "base"
    assert both.locate(("a", "y")).file == "over"


def test_nesting_puts_a_value_inside_sections():
    nested = nest(["a", "b"], Node(5, Location("f", 1, 2)))
    assert nested.plain() == {"a": {"b": 5}}
    assert nested.locate(("a",)) == Location("f", 1, 2)
