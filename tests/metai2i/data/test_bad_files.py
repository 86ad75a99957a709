"""Telling good samples from bad ones."""

from __future__ import annotations

import logging

import pytest

from metai2i import UserError
from metai2i.data import as_one_error, failing, tell_left_out


def refuse_odd(number: int) -> None:
    if number % 2:
        raise UserError(f"{number} is odd")


def test_those_that_fail_come_in_their_order_with_what_is_wrong():
    failed = failing([4, 9, 2, 7], refuse_odd)
    assert {number: error.what for number, error in failed.items()} == {9: "9 is odd", 7: "7 is odd"}
    assert list(failed) == [9, 7]


def test_what_is_no_fault_of_a_file_is_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        failing([1, 0], lambda number: 1 / number)


@pytest.mark.parametrize(
    ("count", "lines", "last"), [(1, 1, "0 is odd"), (8, 8, "7 is odd"), (11, 9, "and 3 more bad")]
)
def test_many_are_told_together_and_from_the_ninth_on_counted(count, lines, last):
    message = str(as_one_error([UserError(f"{n} is odd") for n in range(count)])).splitlines()
    assert len(message) == lines
    assert message[-1].startswith(last)


def test_what_is_left_out_is_listed_with_its_share(caplog):
    with caplog.at_level(logging.WARNING, "metai2i"):
        tell_left_out("faces", [], 5)
        assert not caplog.messages
        tell_left_out("faces", [UserError(f"{n} is odd") for n in range(10)], 20, "photographs")
    assert caplog.messages[0] == "faces: skipped 10 of 20 photographs:"
    assert caplog.messages[-1] == "faces:   and 2 more"
    assert len(caplog.messages) == 10
