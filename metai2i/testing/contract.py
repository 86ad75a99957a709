"""`Contract`: one thing that must be true of a component, and what is told where it is not."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from metai2i.testing.bench import Bench

Check = Callable[[Bench], None]


class ContractError(AssertionError):
    """A component does not do what its interface promises.

    Args:
        expected: what must be true.
        got: what was found.
        read: the page that says more; the contract's own when left out.
    """

    def __init__(self, expected: str, got: str, read: str = "") -> None:
        self.expected, self.got, self.read = expected, got, read
        super().__init__(f"expected {expected}; got {got}" + (f"; read {read}" if read else ""))


class NotApplicable(Exception):
    """A contract says nothing about this component, or not on this machine; the text says why."""


@dataclass(frozen=True)
class Contract:
    """One promise of an interface.

    Args:
        name: the promise as a sentence.
        says: what is done to see whether it is kept.
        read: the page that says more.
        check: raises a `ContractError` where it is broken, or `NotApplicable`.
        gate: the others mean nothing where this one is broken.
    """

    name: str
    says: str
    read: str
    check: Check
    gate: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of one contract.

    Args:
        contract: the promise.
        status: "ok", "failed" or "skipped".
        error: what was expected and got, where it failed.
        why: why it was skipped; empty otherwise.
    """

    contract: Contract
    status: Literal["ok", "failed", "skipped"]
    error: ContractError | None = None
    why: str = ""


def promise(contracts: list[Contract], read: str, *, gate: bool = False) -> Callable[[Check], Check]:
    """Take a check in among the contracts of its kind: its name is the sentence, its docstring says what is done.

    Args:
        read: the page that says more.
        gate: the others mean nothing where this one is broken.
    """

    def take(check: Check) -> Check:
        says = " ".join((inspect.getdoc(check) or "").split())
        contracts.append(Contract(check.__name__.replace("_", " "), says, read, check, gate))
        return check

    return take


def require(holds: bool, expected: str, got: str, read: str = "") -> None:
    """Raise a `ContractError` unless `holds`.

    Raises:
        ContractError: with what was expected and got.
    """
    if not holds:
        raise ContractError(expected, got, read)
