"""Reptile against its closed form."""

from __future__ import annotations

import copy

import pytest
import torch
from metai2i_bil import Bil
from metai2i_reptile import Reptile
from toys import Toy

from metai2i import Adaptation, Augment, Batch, Step, UserError
from metai2i.meta.inner_loop import adapted, support_batches
from metai2i.meta.outer_step import meta_step, outer_optimizer
from metai2i.training.checkpoint import digest
from metai2i.training.driving import descend, drive, parameter_groups, watch


def reptile(**options) -> Reptile:
    return Reptile(**{"inner": Adaptation(lr=1e-2), "steps": 3, **options})


def plainly_trained(gp, pairs, inner, steps, lr, step) -> Toy:
    """A deep copy after `steps` steps of torch's own Adam on the batches of the inner loop."""
    model = copy.deepcopy(gp)
    adam = torch.optim.Adam(parameter_groups(model, lr), betas=inner.betas, eps=inner.eps)
    for i, batch in enumerate(support_batches(pairs, inner.for_training(steps), step.rng)):
        drive(model, batch, step.at(i, inner=True), descend(model, adam))
    return model


@pytest.mark.parametrize("lr", [None, 3e-2])
@pytest.mark.parametrize("pool", [True, False])
@pytest.mark.parametrize(("anneal", "index"), [(True, 0), (True, 30), (True, 99), (False, 30)])
def test_the_general_model_moves_part_of_the_way_to_the_mean_adapted_copy(toy, episodes, lr, pool, anneal, index):
    """theta <- theta + epsilon (1 - index / total) (mean theta_IS - theta)"""
    strategy = reptile(epsilon=0.4, anneal=anneal, pool=pool, lr=lr)
    step = Step(index=index, total=100)
    before = copy.deepcopy(toy)
    copies = []
    for i, episode in enumerate(episodes):
        pairs = Batch.cat([episode.support, episode.query]) if pool else episode.support
        here = step.at("task", i).at("episode", 0).at("inner")  # the driver hands over one episode at a time
        copies.append(plainly_trained(toy, pairs, strategy.inner, 3, lr or 1e-2, here))
    losses = meta_step(toy, strategy, outer_optimizer(toy, strategy, 123.0), episodes, step)
    epsilon = 0.4 * (1 - index / 100 if anneal else 1)
    for name, parameter in toy.named_parameters():
        start = before.get_parameter(name)
        mean = torch.stack([model.get_parameter(name) for model in copies]).mean(0)
        torch.testing.assert_close(parameter, start + epsilon * (mean - start))
    assert {"query/generator/l2", "query/discriminator/real"} <= losses.keys()


def test_a_whole_step_of_one_episode_lands_on_the_adapted_copy(toy, episode):
    strategy = reptile(epsilon=1.0, pool=False)
    landed = adapted(toy, episode.support, Adaptation(lr=1e-2, iterations=3), Step().at("episode", 0).at("inner"))
    meta_step(toy, strategy, outer_optimizer(toy, strategy, 1e-4), [episode], Step(total=1))
    for ours, theirs in zip(toy.parameters(), landed.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_last_step_of_an_annealed_training_is_the_shortest(toy, episode):
    moves = []
    for index in range(4):
        toy.zero_grad()
        reptile(epsilon=0.5).meta_gradient(toy, episode, Step(index=index, total=4))
        moves.append(toy.generator.weight.grad.norm().item())
    assert moves == pytest.approx([moves[0] * share for share in (1, 0.75, 0.5, 0.25)], rel=1e-4)


def test_the_losses_that_are_returned_are_the_adapted_copies_on_the_query(toy, episode):
    losses = reptile(pool=False).meta_gradient(toy, episode, Step())
    model = adapted(toy, episode.support, Adaptation(lr=1e-2, iterations=3), Step().at("inner"))
    expected = drive(model, episode.query, Step().at("query"), watch)
    torch.testing.assert_close(losses, {f"query/{term}": value for term, value in expected.items()})


def test_the_general_model_and_its_buffers_are_untouched(toy, episodes):
    before = digest(toy)
    strategy = reptile(inner=Adaptation(lr=1e-2, augment=Augment()))
    strategy.meta_gradient(toy, episodes[0], Step())
    strategy.adapt(toy, episodes[0].support, Step())
    assert digest(toy) == before
    assert toy.seen.item() == 0


def test_it_adapts_as_the_bilevel_strategy_does(toy, episode):
    inner = Adaptation(iterations=4, lr=1e-2)
    ours, theirs = (make(inner=inner).adapt(toy, episode.support, Step()) for make in (Reptile, Bil))
    assert digest(ours) == digest(theirs)
    assert digest(ours) != digest(toy)


def test_the_outer_step_is_neither_scaled_nor_smoothed(toy):
    optimizer = outer_optimizer(toy, reptile(), 1e-4)
    assert type(optimizer) is torch.optim.SGD
    assert {(g["name"], g["lr"], g["momentum"], g["weight_decay"]) for g in optimizer.param_groups} == {
        ("discriminator", 1.0, 0, 0),
        ("generator", 1.0, 0, 0),
    }


def test_the_cost_counts_inner_and_query_samples():
    assert reptile(inner=Adaptation(batch=5, augment=Augment()), steps=4).cost(shots=1, queries=3) == 4 * 5 + 3


@pytest.mark.parametrize("options", [{"steps": 0}, {"epsilon": 0.0}, {"epsilon": 1.5}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(UserError, match=r"^strategy\.(steps|epsilon): got"):
        reptile(**options)


def test_a_player_that_does_not_move_has_no_gradient(toy, episode):
    strategy = reptile(inner=Adaptation(lr=1e-2, freeze=("discriminator",)))
    strategy.meta_gradient(toy, episode, Step(total=1))
    assert {p.grad is None for p in toy.players()["discriminator"]} == {True}
    assert {p.grad is None for p in toy.players()["generator"]} == {False}
