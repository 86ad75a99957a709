"""Labels in a text, by their names or their numbers."""

from __future__ import annotations

import pytest

from metai2i import Field, UserError
from metai2i.inference.field_folders import label_number


def test_a_label_is_said_by_its_name_or_its_number():
    known = Field("label", 3, ("cat", "dog", "wild"))
    assert [label_number(text, known, "domain.txt") for text in ("dog", "2")] == [1, 2]
    with pytest.raises(UserError, match=r"domain\.txt: no label is called '3', expected a number from 0 to 2"):
        label_number("3", known, "domain.txt")


def test_where_names_are_numbers_a_number_is_a_name():
    known = Field("label", 3, ("2", "5", "a new domain"))
    assert label_number("5", known, "domain.txt") == 1
    with pytest.raises(UserError, match="no label is called '1', expected one of the names, which are numbers here"):
        label_number("1", known, "domain.txt")
