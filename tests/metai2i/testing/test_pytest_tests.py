"""`contract_tests`: one case for each contract."""

from __future__ import annotations

import pytest
import torch

from metai2i import Metric
from metai2i.testing import ContractError, contract_tests, contracts_of


class Good(Metric):
    label = "L1 ↓"
    higher_is_better = False

    def __call__(self, images, query):
        return (images - query["target"]).abs().mean((1, 2, 3))


class Upside(Good):
    higher_is_better = True


test_a_metric = contract_tests("metric", Good)


def cases(test):
    (mark,) = test.pytestmark
    return mark.args[1]


def test_there_is_a_case_for_each_contract():
    assert tuple(cases(test_a_metric)) == contracts_of("metric")


def test_a_broken_contract_fails_its_case_and_no_other():
    test = contract_tests("metric", Upside)
    by_name = {contract.name: contract for contract in cases(test)}
    test(by_name["it gives one number for each image"])
    with pytest.raises(ContractError, match="expected lower means") as caught:
        test(by_name["more noise is worse"])
    assert caught.value.read == "docs/write-a-translator.md#metrics"


def test_a_contract_that_does_not_apply_is_a_skipped_case():
    class Nothing(Good):
        def __call__(self, images, query):
            return torch.full((len(images),), torch.nan)

    test = contract_tests("metric", Nothing)
    worse = next(contract for contract in cases(test) if contract.name == "more noise is worse")
    with pytest.raises(pytest.skip.Exception, match="NaN on all queries"):
        test(worse)
