"""Evenly spaced choices of many."""

from metai2i.data.spacing import evenly_chosen, evenly_spaced


def test_places_are_evenly_spaced_and_begin_with_the_first():
    assert evenly_spaced(3, 40) == [0, 1, 2]
    assert evenly_spaced(100, 4) == [0, 25, 50, 75]
    assert len(set(evenly_spaced(10_000, 40))) == 40
    assert evenly_spaced(0, 40) == []


def test_items_are_thinned_to_a_limit():
    assert list(evenly_chosen(range(10), 4)) == [0, 2, 5, 7]
    assert list(evenly_chosen(range(3), 5)) == [0, 1, 2]
    assert list(evenly_chosen(range(3), None)) == [0, 1, 2]
    assert list(evenly_chosen(range(3), 0)) == []
