from itertools import combinations

import pytest

from metai2i import TaskSpec
from metai2i.paint.colours import shown_colours


def test_the_datas_colours_are_shown_where_each_class_has_its_own():
    palette = ((1, 2, 3), (4, 5, 6))
    assert list(shown_colours(TaskSpec(2, (8, 8), palette=palette))) == list(palette)


@pytest.mark.parametrize("palette", [(), ((9, 9, 9),) * 20])
def test_classes_without_colours_of_their_own_are_shown_in_colours_that_can_be_told_apart(palette):
    colours = shown_colours(TaskSpec(20, (8, 8), palette=palette))
    assert min(max(abs(a - b) for a, b in zip(*pair, strict=True)) for pair in combinations(colours, 2)) > 25
    assert not any(red == green == blue for red, green, blue in colours)  # which a reader would take for an id
