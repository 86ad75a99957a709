"""Our own clone and update of modules against learn2learn's, bit for bit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metai2i.meta import clones
from metai2i.meta.clones import clone_module, cloned, learn2learn_utils, update_module, updated

theirs = pytest.importorskip("learn2learn.utils")


class Tied(nn.Module):
    """Tied weights, a shared submodule, no bias, running statistics, a buffer in the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3, bias=False)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.again = self.second
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("scale", torch.ones(3, requires_grad=True))
        self.note = ["plain"]

    def forward(self, x):
        return self.again(self.norm(self.first(x)) * self.scale) + self.second(x)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRU(3, 3, batch_first=True)

    def forward(self, x):
        return self.cell(x[None])[0][0]


NETWORKS = [
    Tied,
    Recurrent,
    lambda: nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.Tanh(), nn.Linear(4, 3))),
    lambda: nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3))),
]


def unrolled(clone, update, network, steps=3):
    """Gradients at the start of a loss after some steps of descent in the graph, and the parameters at the end."""
    torch.manual_seed(0)
    module, x = network(), torch.randn(5, 3)
    copy = clone(module)
    for _ in range(steps):
        parameters = list(copy.parameters())
        gradients = torch.autograd.grad(copy(x).square().mean(), parameters, create_graph=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.update = -0.1 * gradient
        update(copy)
    grads = torch.autograd.grad(copy(x).square().mean(), list(module.parameters()))
    return [*grads, *copy.parameters(), *copy.buffers()]


@pytest.mark.parametrize("network", NETWORKS)
def test_an_unrolled_descent_has_the_gradients_of_learn2learn_bit_for_bit(network):
    ours = unrolled(lambda m: cloned(m, {}), lambda m: updated(m, {}), network)
    reference = unrolled(theirs.clone_module, theirs.update_module, network)
    assert len(ours) == len(reference)
    assert all(torch.equal(a, b) for a, b in zip(ours, reference, strict=True))


@pytest.mark.parametrize("library", [theirs, None])
@pytest.mark.parametrize("network", NETWORKS)
def test_what_is_cloned_by_either_descends_alike(network, library, monkeypatch):
    reference = unrolled(theirs.clone_module, theirs.update_module, network)
    monkeypatch.setattr(clones, "learn2learn_utils", lambda: library)
    got = unrolled(clone_module, update_module, network)
    assert all(torch.equal(a, b) for a, b in zip(got, reference, strict=True))


@pytest.mark.parametrize("library", [theirs, None])
def test_a_submodule_that_stands_in_two_places_does_so_in_the_copy(library, monkeypatch):
    monkeypatch.setattr(clones, "learn2learn_utils", lambda: library)
    norm = nn.BatchNorm1d(3)
    copy = clone_module(nn.Sequential(norm, nn.Sequential(nn.Linear(3, 3), norm)))
    assert copy[0] is copy[1][1]
    assert copy[0] is not norm


def test_tied_parameters_stay_tied_through_clone_and_update():
    copy = cloned(Tied(), {})
    assert copy.first.weight is copy.second.weight
    copy.first.weight.update = torch.ones(3, 3)
    before = copy.first.weight
    updated(copy, {})
    assert copy.first.weight is copy.second.weight
    assert torch.equal(copy.first.weight, before + 1)


def test_a_child_that_is_not_there_stays_away():
    """learn2learn's update does not get past it."""
    module = nn.Module()
    module.register_module("nothing", None)
    module.layer = nn.Linear(2, 2)
    copy = cloned(module, {})
    copy.layer.weight.update = torch.ones(2, 2)
    updated(copy, {})
    assert copy.nothing is None
    assert torch.equal(copy.layer.weight, module.layer.weight + 1)


def test_what_is_no_tensor_is_shared_with_the_origin_as_in_learn2learn():
    module = Tied()
    for copy in (cloned(module, {}), theirs.clone_module(module)):
        assert copy.note is module.note
        assert copy.norm.running_mean is module.norm.running_mean
        assert copy.scale is not module.scale


def test_an_update_is_taken_once():
    module = nn.Linear(2, 2)
    copy = cloned(module, {})
    copy.weight.update = torch.ones(2, 2)
    updated(copy, {})
    moved = copy.weight.clone()
    updated(copy, {})
    assert torch.equal(copy.weight, moved)


def test_learn2learn_is_used_where_it_is_installed_and_quietly(capfd):
    assert learn2learn_utils() is theirs
    assert capfd.readouterr().err == ""


def test_without_learn2learn_ours_do_the_work(monkeypatch):
    monkeypatch.setattr(clones, "learn2learn_utils", lambda: None)
    module = nn.Linear(2, 2)
    copy = clone_module(module)
    copy.weight.update = torch.ones(2, 2)
    update_module(copy)
    assert torch.equal(copy.weight, module.weight + 1)
    assert torch.autograd.grad(copy.weight.sum(), module.weight)[0].eq(1).all()
