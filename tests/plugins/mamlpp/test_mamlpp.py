"""MAML++ against hand-written unrolls, finite differences, and the bilevel strategy that it extends."""

from __future__ import annotations

import copy
import math
from types import MappingProxyType

import pytest
import torch
from metai2i_bil import Bil
from metai2i_mamlpp import MamlPlusPlus
from strategy_laws import check_ordinary, check_untouched, short_run
from toys import Toy

from metai2i import Adaptation, Augment, Episode, Step, UserError
from metai2i.meta.inner_loop import adapted, support_batches
from metai2i.meta.instance import instance_of
from metai2i.meta.outer_step import meta_step, outer_optimizer
from metai2i.training.driving import drive, watch

SGD = Adaptation(optimizer="sgd", lr=0.1, iterations=3)
AT_THE_END = Step(index=99, total=100)


def prepared(gp, **options) -> MamlPlusPlus:
    strategy = MamlPlusPlus(**{"inner": SGD, "steps": 3, **options})
    strategy.prepare(gp)
    return strategy


def set_rates(strategy: MamlPlusPlus, **rates: list[float]) -> None:
    with torch.no_grad():
        for player, values in rates.items():
            strategy.log_rates[player].copy_(torch.tensor(values).log())


def meta_gradients(strategy, gp, episode, step=None):
    gp.zero_grad(set_to_none=True)
    losses = strategy.meta_gradient(gp, episode, (step or Step()).at("episode", 0))
    return {name: p.grad.clone() for name, p in gp.named_parameters()}, losses


@pytest.fixture
def lone(spec) -> Toy:
    """A generator without a discriminator, in double precision."""
    torch.manual_seed(0)
    return Toy(spec=spec, adversarial=False).double()


def doubled(episode):
    return Episode(episode.task, episode.support.map(torch.Tensor.double), episode.query.map(torch.Tensor.double))


def loss_of(weight, bias, batch):
    return (torch.nn.functional.conv2d(batch["structure"], weight, bias) - batch["target"]).square().mean()


def hand_written(gp, episode, rates, weights, second):
    """The weighted sum of the query losses after each SGD step, differentiated by the textbook."""
    start = [p.detach().clone().requires_grad_() for p in gp.parameters()]
    logs = torch.tensor(rates, dtype=torch.float64).log().requires_grad_()
    now, total = start, 0
    here = Step().at("episode", 0).at("inner").rng
    for i, batch in enumerate(support_batches(episode.support, SGD.for_training(len(rates)), here)):
        grads = torch.autograd.grad(loss_of(*now, batch), now, create_graph=second, retain_graph=True)
        now = [p - logs[i].exp() * g for p, g in zip(now, grads, strict=True)]
        total = total + weights[i] * loss_of(*now, episode.query)
    return torch.autograd.grad(total, [*start, logs])


@pytest.mark.parametrize("order", ["first", "second"])
@pytest.mark.parametrize(("index", "weights"), [(0, [1 / 3] * 3), (25, [1 / 6, 1 / 6, 2 / 3]), (70, [0, 0, 1])])
def test_the_meta_gradients_are_those_of_a_hand_written_unroll(lone, episode, order, index, weights):
    episode, rates = doubled(episode), [0.3, 0.1, 0.05]
    strategy = prepared(lone, order=order)
    strategy.log_rates["generator"].data = torch.tensor(rates, dtype=torch.float64).log()
    grads, _ = meta_gradients(strategy, lone, episode, Step(index=index, total=100))
    weight, bias, logs = hand_written(lone, episode, rates, weights, order == "second")
    torch.testing.assert_close(grads["generator.weight"], weight)
    torch.testing.assert_close(grads["generator.bias"], bias)
    torch.testing.assert_close(strategy.log_rates["generator"].grad, logs)
    assert (logs != 0).all()


def test_the_gradient_of_the_rates_is_a_finite_difference_of_the_query_loss(lone, episode):
    """In second order with Adam inside."""
    episode, inner = doubled(episode), Adaptation(lr=1e-2, eps=1e-4, iterations=3)
    strategy = prepared(lone, inner=inner, order="second", anneal=0.0)
    meta_gradients(strategy, lone, episode)
    log = strategy.log_rates["generator"]
    analytic = log.grad.clone()
    for i in range(3):
        sides = []
        for sign in (1, -1):
            moved = copy.deepcopy(strategy)
            with torch.no_grad():
                moved.log_rates["generator"][i] += sign * 1e-2
            connected = instance_of(lone)
            for _ in moved._steps(connected, episode.support, inner, Step().at("episode", 0).at("inner"), learn=True):
                pass
            sides.append(drive(connected, episode.query, Step(), watch)["generator/l2"].item())
        assert analytic[i].item() == pytest.approx((sides[0] - sides[1]) / 2e-2, rel=1e-2)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("order", ["first", "second"])
def test_with_equal_rates_and_the_last_loss_alone_it_is_the_bilevel_strategy(toy, episodes, optimizer, order):
    inner = Adaptation(optimizer=optimizer, lr=1e-2, augment=Augment(), eps=1e-4)
    ours, losses = meta_gradients(prepared(toy, inner=inner, order=order), toy, episodes[0], AT_THE_END)
    theirs, expected = meta_gradients(Bil(inner=inner, steps=3, order=order), toy, episodes[0], AT_THE_END)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close({name: losses[name] for name in expected}, expected)
    assert losses["rate/generator"].item() == pytest.approx(1e-2)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_with_the_rates_it_starts_from_it_adapts_as_plain_fine_tuning_does(toy, episode, optimizer):
    inner = Adaptation(optimizer=optimizer, lr=1e-2, iterations=6)
    ours = prepared(toy, inner=inner).adapt(toy, episode.support, Step())
    theirs = adapted(toy, episode.support, inner, Step())
    torch.testing.assert_close(dict(ours.named_parameters()), dict(theirs.named_parameters()))


def test_learned_rates_are_used_at_test_and_the_last_one_beyond_the_trained_steps(toy, episode):
    strategy = prepared(toy, steps=2, inner=Adaptation(optimizer="sgd", lr=0.1, iterations=4))
    rates = {"generator": [0.5, 0.01], "discriminator": [0.2, 0.02]}
    set_rates(strategy, **rates)
    adapted = strategy.adapt(toy, episode.support, Step())
    expected = copy.deepcopy(toy)
    for i, batch in enumerate(support_batches(episode.support, strategy.inner.for_training(4), Step().rng)):

        def descend(players, loss, i=i):
            parameters = list(expected.players()[players[0]])
            for p, g in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                p.data -= rates[players[0]][min(i, 1)] * g

        drive(expected, batch, Step(), descend)
    torch.testing.assert_close(dict(adapted.named_parameters()), dict(expected.named_parameters()))


def test_the_weights_start_equal_and_end_at_the_last_step(toy):
    strategy = prepared(toy, steps=4, anneal=0.5)
    assert strategy.weights(Step(index=0, total=10)) == [0.25] * 4
    assert strategy.weights(Step(index=5, total=10)) == [0, 0, 0, 1]
    assert strategy.weights(Step(index=9, total=10)) == [0, 0, 0, 1]
    for index in range(10):
        weights = strategy.weights(Step(index=index, total=10))
        assert sum(weights) == pytest.approx(1)
        assert weights[0] == weights[1] == weights[2] <= weights[3]
    assert prepared(toy, steps=4, anneal=0.0).weights(Step(index=0, total=10)) == [0, 0, 0, 1]


def test_a_query_leaves_no_trace_in_the_next_inner_step(toy, episode):
    """The toy counts its training steps in a buffer: the inner steps see one another, and no query."""
    strategy, seen = prepared(toy), []
    plain = Toy.training_step

    class Telling(Toy):
        def training_step(self, batch, step):
            seen.append((step.inner, int(self.seen)))
            yield from plain(self, batch, step)

    toy.__class__ = Telling
    strategy.meta_gradient(toy, episode, Step(index=0, total=10))
    assert [count for inner, count in seen if inner] == [0, 1, 2]
    assert [count for inner, count in seen if not inner] == [1, 2, 3]


def test_rates_are_learned_at_a_rate_of_their_own_and_stay_positive(toy, episodes):
    strategy = prepared(toy, rate_lr=0.05)
    optimizer = outer_optimizer(toy, strategy, 1e-3)
    assert {g["name"]: g["lr"] for g in optimizer.param_groups} == {
        "discriminator": 1e-3, "generator": 1e-3, "strategy": 0.05,
    }  # fmt: skip
    for i in range(5):
        meta_step(toy, strategy, optimizer, episodes, Step(index=i, total=5))
    for log in strategy.log_rates.values():
        assert (log != math.log(0.1)).all()
        assert (log.exp() > 0).all()


def test_players_that_rest_have_no_rates_and_are_not_adapted(toy, episode):
    strategy = prepared(toy, inner=Adaptation(lr=0.1, freeze=("discriminator",)))
    assert set(strategy.meta_parameters()) == {"generator"}
    adapted = strategy.adapt(toy, episode.support, Step())
    assert torch.equal(adapted.discriminator.weight, toy.discriminator.weight)
    meta_gradients(strategy, toy, episode)
    assert toy.discriminator.weight.grad.abs().sum() > 0


def test_a_players_rates_start_at_its_own_multiple(spec):
    class Slow(Toy):
        rates = MappingProxyType({"discriminator": 0.5})

    strategy = prepared(Slow(spec=spec))
    torch.testing.assert_close(strategy.log_rates["discriminator"].exp(), torch.full((3,), 0.05))


def test_the_general_model_is_untouched_and_the_copy_an_ordinary_one(toy, episodes):
    strategy = MamlPlusPlus(inner=Adaptation(lr=1e-2, augment=Augment()), steps=2)
    check_untouched(strategy, toy, episodes)
    check_ordinary(strategy.adapt(toy, episodes[0].support, Step()), toy)


def test_a_diverging_adaptation_is_told(toy, episode):
    strategy = prepared(toy, inner=Adaptation(optimizer="sgd", lr=1e25, iterations=5))
    with pytest.raises(UserError, match=r"not finite|is (nan|inf)"):
        strategy.adapt(toy, episode.support, Step())


def test_the_cost_counts_a_query_after_every_step_while_the_weights_move():
    inner = Adaptation(batch=5, augment=Augment())
    assert MamlPlusPlus(inner=inner, steps=4, anneal=0.0).cost(shots=1, queries=3) == 4 * 5 + 3
    assert MamlPlusPlus(inner=inner, steps=4, anneal=1.0).cost(shots=1, queries=3) == 4 * 5 + 4 * 3
    assert MamlPlusPlus(inner=inner, steps=4, anneal=0.5).cost(shots=1, queries=3) == 4 * 5 + 8  # 7.5, rounded up


@pytest.mark.parametrize("options", [{"steps": 0}, {"anneal": 1.5}, {"rate_lr": -1.0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(UserError, match=r"^strategy\.(steps|anneal|rate_lr): got"):
        MamlPlusPlus(inner=SGD, **options)


def test_it_runs_from_a_recipe(tmp_path):
    short_run(tmp_path, {"use": "mamlpp", "steps": 2})
