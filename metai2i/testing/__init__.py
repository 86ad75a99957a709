"""Contracts of plugins: what must be true of a component for it to work with all others.

    from metai2i.testing import contract_tests

    test_painter = contract_tests("translator", Painter, {"width": 4})

gives a test for each contract under pytest; `run_contracts` runs them without it, as `metai2i check` does.
docs/write-a-translator.md lists them.
"""

from __future__ import annotations

from metai2i.testing.contract import Contract, ContractError, NotApplicable, Outcome
from metai2i.testing.pytest_tests import contract_tests
from metai2i.testing.run import contracts_of, run_contracts

__all__ = [
    "Contract",
    "ContractError",
    "NotApplicable",
    "Outcome",
    "contract_tests",
    "contracts_of",
    "run_contracts",
]
