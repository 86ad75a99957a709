"""The inner loop: its optimiser against torch's own, its batches, its copies."""

from __future__ import annotations

import copy

import pytest
import torch

from metai2i import Adaptation, Augment, Batch, Randomness, Step
from metai2i.meta.functional_optimizer import FunctionalOptimizer
from metai2i.meta.inner_loop import adapt_in_graph, adapted, support_batches
from metai2i.meta.instance import instance_of
from metai2i.training.driving import descend, drive, parameter_groups


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("adam", lambda ps: torch.optim.Adam(ps, lr=1e-2, betas=(0.5, 0.999))),
        ("sgd", lambda ps: torch.optim.SGD(ps, lr=1e-2)),
    ],
)
def test_the_inner_optimiser_gives_torchs_own_numbers(name, make):
    torch.manual_seed(1)
    ours, theirs = torch.randn(4, 3), None
    theirs = ours.clone().requires_grad_()
    reference, functional = make([theirs]), FunctionalOptimizer(Adaptation(optimizer=name, lr=1e-2))
    for _ in range(6):
        gradient = torch.randn(4, 3)
        theirs.grad = gradient.clone()
        reference.step()
        ours = ours + functional.updates("generator", [gradient], 1e-2)[0]
    torch.testing.assert_close(ours, theirs.detach())


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-6])
def test_second_order_takes_the_steps_of_first_order_however_small_the_gradients(size):
    torch.manual_seed(2)
    first, second = (FunctionalOptimizer(Adaptation(), differentiable=graph) for graph in (False, True))
    for _ in range(3):
        gradient = size * torch.randn(20).sign() * (1 + torch.rand(20))
        torch.testing.assert_close(
            second.updates("generator", [gradient], 1e-2)[0], first.updates("generator", [gradient], 1e-2)[0],
            rtol=0.02, atol=0,
        )  # fmt: skip


def test_adapting_equals_training_a_deep_copy(toy, episode):
    """learn2learn's clone and update against the plain loop, on the same batches."""
    inner = Adaptation(iterations=4, lr=1e-2, batch=3)
    ours = adapted(toy, episode.support, inner, Step())
    theirs = copy.deepcopy(toy)
    adam = torch.optim.Adam(parameter_groups(theirs, 1e-2), betas=(0.5, 0.999))
    for i, batch in enumerate(support_batches(episode.support, inner.for_training(4), Step().rng)):
        drive(theirs, batch, Step().at(i, inner=True), descend(theirs, adam))
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_adam_does_not_mind_how_a_gradient_lies_in_memory(toy, episode):
    """Convolutions of few channels give gradients with permuted strides, which torch's fused Adam ignores."""

    def strided(translator):
        def hook(gradient):
            return gradient.transpose(0, 1).contiguous().transpose(0, 1)

        translator.generator.weight.register_hook(hook)

    results = []
    for disturb in (lambda translator: None, strided):
        trained = copy.deepcopy(toy)
        disturb(trained)
        adam = torch.optim.Adam(parameter_groups(trained, 1e-2), betas=(0.5, 0.999), fused=True)
        for _ in range(2):
            drive(trained, episode.support, Step(), descend(trained, adam))
        results.append(trained)
    for a, b in zip(*(result.parameters() for result in results), strict=True):
        torch.testing.assert_close(a, b)


def test_a_few_shots_are_repeated_up_to_the_batch_when_augmented():
    pair = Batch(structure=torch.eye(4)[None, None], target=torch.rand(1, 3, 4, 4))
    augmented = next(support_batches(pair, Adaptation(batch=5, augment=Augment()).for_training(1), Randomness()))
    bare = next(support_batches(pair, Adaptation(batch=5).for_training(1), Randomness()))
    assert (augmented.size, bare.size) == (5, 1)
    assert len({tuple(photo.flatten().tolist()) for photo in augmented["target"]}) > 1


def test_every_step_draws_anew_but_always_the_same(episode):
    inner = Adaptation(batch=2)
    first = [b["target"] for b in support_batches(episode.support, inner.for_training(6), Randomness((1,)))]
    again = [b["target"] for b in support_batches(episode.support, inner.for_training(6), Randomness((1,)))]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not torch.equal(first[0], other) for other in first[1:])


def test_a_copy_is_connected_to_its_origin_and_shares_no_buffer(toy, episode):
    copied = instance_of(toy)
    assert copied.seen is not toy.seen
    adapt_in_graph(copied, episode.support, Adaptation(iterations=1), Step())
    gradient = torch.autograd.grad(copied.generator.weight.sum(), toy.generator.weight)[0]
    assert torch.equal(gradient, torch.ones_like(gradient))


def test_a_players_own_rate_scales_its_updates(toy, episode):
    slow = copy.deepcopy(toy)
    type(slow).rates, kept = {"generator": 0.0}, type(slow).rates
    try:
        result = adapted(slow, episode.support, Adaptation(iterations=2, lr=1e-2), Step())
    finally:
        type(slow).rates = kept
    assert torch.equal(result.generator.weight, slow.generator.weight)
    assert not torch.equal(result.discriminator.weight, slow.discriminator.weight)
