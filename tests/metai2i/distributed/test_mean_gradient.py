"""The mean of gradients: the same bits whatever the order and the split."""

from __future__ import annotations

import itertools

import torch
from torch import nn

from metai2i.distributed.mean_gradient import MeanGradient
from metai2i.distributed.processes import ALONE


def mean_of(gradients: list[torch.Tensor]) -> torch.Tensor:
    parameter = nn.Parameter(torch.zeros_like(gradients[0]))
    mean = MeanGradient([parameter])
    for gradient in gradients:
        parameter.grad = gradient.clone()
        mean.take()
    mean.put(ALONE, len(gradients))
    assert parameter.grad is not None
    return parameter.grad


def test_the_mean_has_the_same_bits_in_every_order():
    gradients = [torch.randn(40, 50) * scale for scale in (1.0, 1e-1, 1e-4, 3.0)]
    wanted = mean_of(gradients)
    assert all(torch.equal(mean_of(list(order)), wanted) for order in itertools.permutations(gradients))
    plain = [sum(order) for order in itertools.permutations(gradients)]
    assert not all(torch.equal(each, plain[0]) for each in plain)  # what float32 makes of it


def test_the_mean_is_the_mean():
    gradients = [torch.randn(3, 4) for _ in range(5)]
    torch.testing.assert_close(mean_of(gradients), torch.stack(gradients).mean(0))


def test_the_gradient_of_one_episode_stays_as_it_is():
    gradient = torch.randn(100) * 10.0 ** torch.arange(-50, 50).clamp(-30, 30)
    assert torch.equal(mean_of([gradient]), gradient)


def test_a_parameter_without_a_gradient_in_any_episode_has_none_afterwards():
    parameters = [nn.Parameter(torch.zeros(2)) for _ in range(3)]
    mean = MeanGradient(parameters)
    parameters[0].grad = torch.tensor([2.0, 4.0])
    mean.take()
    parameters[1].grad = torch.tensor([6.0, 8.0])
    mean.take()
    mean.put(ALONE, 2)
    assert parameters[0].grad.tolist() == [1, 2]
    assert parameters[1].grad.tolist() == [3, 4]
    assert parameters[2].grad is None
