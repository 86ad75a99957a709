"""A test for each contract, for pytest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from metai2i.tasks import TaskSource, TaskSpec
from metai2i.testing.bench import Bench
from metai2i.testing.contract import Contract
from metai2i.testing.run import contracts_of, make_bench, run_contract


def contract_tests(
    kind: str,
    component: type,
    options: Mapping[str, Any] | None = None,
    *,
    spec: TaskSpec | None = None,
    source: TaskSource | None = None,
    strategies: Mapping[str, type] | None = None,
) -> Callable[[Contract], None]:
    """Return a test function with one case for each contract; assign it to a name that starts with `test_`.

    Args:
        kind: "translator", "task source", "strategy", "retriever" or "metric".
        component: the class.
        options: as in a recipe; small networks make fast tests.
        spec: size and classes of the toy scenes that it is tried on; 32x32 with three classes when left out.
        source: the scenes that it is tried on, instead of toy ones; not for task sources.
        strategies: those that a translator is tried under, by name; all installed ones when left out.
    """
    import pytest

    @cache
    def bench() -> Bench:
        return make_bench(kind, component, options, spec=spec, source=source, strategies=strategies)

    contracts = contracts_of(kind, component)

    @pytest.mark.parametrize("contract", contracts, ids=lambda contract: contract.name.replace(" ", "_"))
    def test(contract: Contract) -> None:
        outcome = run_contract(contract, bench())
        if outcome.status == "skipped":
            pytest.skip(outcome.why)
        if outcome.error is not None:
            raise outcome.error

    return test
