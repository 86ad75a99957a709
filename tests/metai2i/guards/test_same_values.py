"""Whether two tensors are the same."""

from __future__ import annotations

import pytest
import torch

from metai2i.guards.same_values import same_values

NAN = torch.tensor([1.0, float("nan")])


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (NAN, NAN.clone(), True),
        (NAN.bfloat16(), NAN.bfloat16(), True),
        (torch.tensor(float("nan")), torch.tensor(float("nan")), True),
        (NAN, torch.tensor([1.0, 2.0]), False),
        (NAN, torch.tensor([2.0, float("nan")]), False),
        (torch.tensor([0.0]), torch.tensor([-0.0]), True),
        (torch.zeros(2), torch.zeros(2, dtype=torch.float64), False),
        (torch.zeros(2), torch.zeros(2, 1), False),
        (torch.tensor([True]), torch.tensor([True]), True),
        (torch.arange(6).view(2, 3).T, torch.arange(6).view(2, 3).T.contiguous(), True),
        (None, None, True),
        (None, NAN, False),
        (NAN, None, False),
    ],
)
def test_shape_type_and_values_count_and_nan_is_itself(first, second, same):
    assert same_values(first, second) == same
