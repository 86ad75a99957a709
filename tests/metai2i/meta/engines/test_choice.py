"""Which engine a strategy gets."""

from __future__ import annotations

import pytest

from metai2i import UserError
from metai2i.meta.engines.adjoint import Adjoint
from metai2i.meta.engines.choice import engine_for
from metai2i.meta.engines.inplace import InPlace
from metai2i.meta.engines.learn2learn import Learn2Learn


def test_auto_has_a_fixed_rule():
    assert engine_for("first") == InPlace()
    assert engine_for("second") == Adjoint()


def test_an_engine_is_taken_by_its_name():
    assert engine_for("first", "learn2learn") == Learn2Learn("first")
    assert engine_for("second", "learn2learn") == Learn2Learn("second")
    assert engine_for("second", "auto", "disk") == Adjoint("disk")


@pytest.mark.parametrize(("order", "name"), [("second", "inplace"), ("first", "adjoint")])
def test_an_engine_without_the_order_is_refused(order, name):
    with pytest.raises(UserError, match=rf"strategy\.engine: {name} has no order: {order}"):
        engine_for(order, name)


@pytest.mark.parametrize(("order", "name"), [("second", "learn2learn"), ("first", "auto"), ("first", "inplace")])
def test_keeping_is_for_those_who_keep(order, name):
    with pytest.raises(UserError, match=r"strategy\.keep: sqrt is for the adjoint engine"):
        engine_for(order, name, "sqrt")
