"""Which engine a strategy runs on."""

from __future__ import annotations

from typing import Literal

from metai2i.adaptation import Order
from metai2i.errors import UserError
from metai2i.meta.engines.adjoint import Adjoint
from metai2i.meta.engines.engine import Engine
from metai2i.meta.engines.inplace import InPlace
from metai2i.meta.engines.iterates import Keep
from metai2i.meta.engines.learn2learn import Learn2Learn

EngineName = Literal["auto", "learn2learn", "inplace", "adjoint"]


def engine_for(order: Order, name: EngineName = "auto", keep: Keep = "all") -> Engine:
    """Return the engine of that name; for "auto" the one that measured best (`benchmarks/engines.py`).

    In first order that is the one in place, which keeps nothing; in second order the adjoint one, which needs a
    third of the unrolled graph's memory for a quarter to a third more time (Pix2pix, width 16, 5 steps).

    Args:
        order: of the meta-gradient.
        name: an engine, or "auto".
        keep: how the adjoint engine keeps its iterates.

    Raises:
        UserError: for an engine that does not have the order, or `keep` for one that keeps no iterates.
    """
    if name == "auto":
        name = "inplace" if order == "first" else "adjoint"
    orders = {"learn2learn": ("first", "second"), "inplace": ("first",), "adjoint": ("second",)}
    if order not in orders[name]:
        able = [each for each in orders if order in orders[each]]
        hint = f"for order: {order} there are auto, {' and '.join(able)}"
        raise UserError(f"strategy.engine: {name} has no order: {order}", hint=hint)
    if name == "adjoint":
        return Adjoint(keep)
    if keep != "all":
        hint = "set engine: adjoint with order: second, or leave keep out"
        raise UserError(f"strategy.keep: {keep} is for the adjoint engine, {name} keeps no iterates", hint=hint)
    return InPlace() if name == "inplace" else Learn2Learn(order)
