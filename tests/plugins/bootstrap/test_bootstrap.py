"""The bootstrapped outer step against its closed form, and its learned rates against MAML++'s, which autograd makes."""

from __future__ import annotations

import copy

import pytest
import torch
from metai2i_bootstrap import Bootstrap
from metai2i_bootstrap.learned_rates import LearnedRates, hypergradients
from metai2i_mamlpp import MamlPlusPlus
from metai2i_reptile import Reptile
from strategy_laws import check_ordinary, check_untouched, short_run
from toys import Toy

from metai2i import Adaptation, Augment, Batch, Episode, Step, UserError
from metai2i.meta.inner_loop import adapted
from metai2i.meta.outer_step import meta_step, outer_optimizer
from metai2i.training.checkpoint import digest
from metai2i.training.driving import drive, gradients, parameters_of

INNER = Adaptation(lr=1e-2, iterations=4)


def prepared(gp, **options) -> Bootstrap:
    strategy = Bootstrap(**{"inner": INNER, "steps": 4, "further": 2, **options})
    strategy.prepare(gp)
    return strategy


def set_factors(strategy: Bootstrap, first: float, last: float) -> None:
    rates = strategy.rates
    assert rates is not None
    with torch.no_grad():
        for player in rates.start:
            rates.start[player].fill_(torch.tensor(first).log().item())
            rates.slope[player].fill_(torch.tensor(last / first).log().item())


class TestOuterStep:
    @pytest.mark.parametrize("rates", ["fixed", "learned"])
    @pytest.mark.parametrize(("index", "left"), [(0, 1.0), (25, 0.75)])
    def test_the_general_model_takes_a_share_of_both_ways(self, toy, episode, rates, index, left):
        """theta <- theta + epsilon (theta_K - theta) + ahead (theta* - theta_K)"""
        strategy, before = prepared(toy, epsilon=0.4, ahead=0.7, rates=rates), copy.deepcopy(toy)
        here = Step(index=index, total=100)
        address = here.at("episode", 0)
        halfway = adapted(toy, episode.support, INNER, address.at("inner"))
        pairs = Batch.cat([episode.support, episode.query])
        target = adapted(halfway, pairs, INNER.for_training(2), address.at("further"))
        meta_step(toy, strategy, outer_optimizer(toy, strategy, 123.0), [episode], here)
        for name, parameter in toy.named_parameters():
            start, middle, end = (model.get_parameter(name) for model in (before, halfway, target))
            expected = start + left * (0.4 * (middle - start) + 0.7 * (end - middle))
            torch.testing.assert_close(parameter, expected)

    @pytest.mark.parametrize("pool", [False, True])
    def test_without_the_further_way_it_is_reptile_on_the_support_or_on_support_and_query(self, toy, episode, pool):
        ours, theirs = copy.deepcopy(toy), copy.deepcopy(toy)
        strategy = prepared(ours, ahead=0.0, epsilon=0.5, rates="fixed", pool=pool)
        reptile = Reptile(inner=INNER, steps=4, epsilon=0.5, pool=pool)
        for model, method in ((ours, strategy), (theirs, reptile)):
            meta_step(model, method, outer_optimizer(model, method, 1.0), [episode], Step(total=10))
        assert digest(ours) == digest(theirs) != digest(toy)

    def test_with_both_whole_ways_it_lands_on_the_target(self, toy, episode):
        here = Step(total=1)
        address = here.at("episode", 0)
        halfway = adapted(toy, episode.support, INNER, address.at("inner"))
        pairs = Batch.cat([episode.support, episode.query])
        target = adapted(halfway, pairs, INNER.for_training(2), address.at("further"))
        strategy = prepared(toy, rates="fixed")
        meta_step(toy, strategy, outer_optimizer(toy, strategy, 1.0), [episode], here)
        for ours, theirs in zip(toy.parameters(), target.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs)

    def test_the_query_alone_can_drive(self, toy, episode):
        before = copy.deepcopy(toy)
        strategy = prepared(toy, epsilon=0.0, rates="fixed")
        address = Step(total=1).at("episode", 0)
        halfway = adapted(toy, episode.support, INNER, address.at("inner"))
        meta_step(toy, strategy, outer_optimizer(toy, strategy, 1.0), [episode], Step(total=1))
        pairs = Batch.cat([episode.support, episode.query])
        target = adapted(halfway, pairs, INNER.for_training(2), address.at("further"))
        for name, parameter in toy.named_parameters():
            way = target.get_parameter(name) - halfway.get_parameter(name)
            torch.testing.assert_close(parameter, before.get_parameter(name) + way)

    @pytest.mark.parametrize(
        ("options", "samples"),
        [({}, 4 * 5 + 3 + 2 * 5), ({"ahead": 0.0}, 4 * 5 + 3), ({"further": 0}, 4 * 5 + 3)],
    )
    def test_the_cost_counts_both_ways_and_the_query(self, options, samples):
        augmented = Adaptation(batch=5, augment=Augment())
        assert Bootstrap(**{"inner": augmented, "steps": 4, "further": 2, **options}).cost(1, 3) == samples

    @pytest.mark.parametrize("pool", [False, True])
    def test_a_pooled_support_costs_what_reptile_costs(self, pool):
        plain = Adaptation(batch=2)
        ours = Bootstrap(inner=plain, steps=4, ahead=0.0, pool=pool)
        assert ours.cost(1, 3) == Reptile(inner=plain, steps=4, pool=pool).cost(1, 3)

    def test_nothing_to_learn_is_refused(self):
        for options in ({"ahead": 0.0}, {"further": 0}):
            with pytest.raises(UserError, match="nothing is learned"):
                Bootstrap(inner=INNER, epsilon=0.0, rates="fixed", **options)
        assert Bootstrap(inner=INNER, epsilon=0.0, ahead=0.0).meta

    @pytest.mark.parametrize(
        "options", [{"steps": 0}, {"epsilon": 1.5}, {"ahead": -0.1}, {"rate_lr": -1.0}, {"directions": 10_000}]
    )
    def test_options_out_of_range_are_refused(self, options):
        with pytest.raises(UserError, match=r"^strategy\.(steps|epsilon|ahead|rate_lr|directions): got"):
            Bootstrap(inner=INNER, **options)


class TestLearnedRates:
    @pytest.mark.parametrize("optimizer", ["adam", "sgd"])
    def test_they_begin_as_plain_adapting_bit_for_bit(self, toy, episode, optimizer):
        inner = Adaptation(lr=1e-2, iterations=4, optimizer=optimizer, augment=Augment())
        ours = prepared(toy, inner=inner).adapt(toy, episode.support, Step())
        assert digest(ours) == digest(adapted(toy, episode.support, inner, Step())) != digest(toy)

    def test_equal_factors_are_another_rate(self, toy, episode):
        strategy = prepared(toy)
        set_factors(strategy, 3.0, 3.0)
        ours = strategy.adapt(toy, episode.support, Step())
        theirs = adapted(toy, episode.support, Adaptation(lr=3e-2, iterations=4), Step())
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(p, q)

    @pytest.mark.parametrize("steps", [2, 3, 5])
    def test_a_loop_of_any_length_goes_from_the_first_factor_to_the_last(self, toy, episode, steps, monkeypatch):
        strategy = prepared(toy, inner=Adaptation(lr=1e-2, iterations=steps, optimizer="sgd"))
        set_factors(strategy, 4.0, 1.0)
        rates: list[float] = []
        step = torch.optim.SGD.step

        def noted(self, *args, **kwargs):
            rates.append(self.param_groups[-1]["lr"])
            return step(self, *args, **kwargs)

        monkeypatch.setattr(torch.optim.SGD, "step", noted)
        strategy.adapt(toy, episode.support, Step())
        of_generator = rates[1::2]  # the discriminator moves first in each step
        expected = [1e-2 * 4.0 ** (1 - i / (steps - 1)) for i in range(steps)]
        assert of_generator == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize("optimizer", ["adam", "sgd"])
    @pytest.mark.parametrize("steps", [1, 2, 5])
    def test_hypergradients_are_those_that_autograd_makes_of_rates_for_each_step(self, spec, episode, optimizer, steps):
        """MAML++ has a rate for each step: by the chain rule the rate of all is the sum of theirs, and the slope's the
        sum of theirs times the share of the steps that is done.
        """
        torch.manual_seed(0)
        gp = Toy(spec=spec, adversarial=False).double()
        inner = Adaptation(lr=1e-2, eps=1e-4, iterations=steps, optimizer=optimizer)
        support, query = episode.support.map(torch.Tensor.double), episode.query.map(torch.Tensor.double)
        theirs = MamlPlusPlus(inner=inner, steps=steps, order="first", anneal=0.0)
        theirs.prepare(gp)
        theirs.meta_gradient(gp, Episode(episode.task, support, query), Step())
        of_each_step = theirs.log_rates["generator"].grad
        copied, origin, passed = LearnedRates(gp, inner).adapted(gp, support, inner, Step().at("inner"), learning=True)
        now, products = parameters_of(copied, ["generator"]), []

        def collect(players, loss):
            grads = gradients(loss, now)
            products.extend(hypergradients(grads, now, before["generator"]).sum() for before in (origin, passed))

        drive(copied, query, Step().at("query", role="query"), collect)
        shares = torch.arange(steps) / max(1, steps - 1)
        assert products[0].item() == pytest.approx(of_each_step.sum().item(), rel=1e-3)
        assert products[1].item() == pytest.approx((shares * of_each_step).sum().item(), rel=1e-3, abs=1e-12)

    def test_each_episode_has_one_vote_for_each_layer(self, toy, episodes):
        strategy = prepared(toy)
        optimizer = outer_optimizer(toy, strategy, 1e-4)
        meta_step(toy, strategy, optimizer, episodes, Step(total=10))
        for rate in strategy.meta_parameters().values():
            assert {round(value / 0.03, 4) for value in rate.abs().tolist()} <= {0.0, 1.0}
            assert rate.abs().max() > 0

    def test_a_player_that_moves_twice_has_one_vote_all_the_same(self, spec, episode):
        class Twice(Toy):
            def training_step(self, batch, step):
                for again in range(2):
                    for player, losses in super().training_step(batch, step):
                        yield player, {f"{name}_{again}": loss for name, loss in losses.items()}

        torch.manual_seed(0)
        gp = Twice(spec=spec)
        strategy = prepared(gp)
        strategy.meta_gradient(gp, episode, Step())
        for rate in strategy.meta_parameters().values():
            assert set(rate.grad.tolist()) <= {-1.0, 0.0, 1.0}
            assert rate.grad.any()

    def test_rates_that_are_too_low_grow_and_make_the_query_better(self, toy, episode):
        slow = Adaptation(lr=1e-4, iterations=4)
        strategy = prepared(toy, inner=slow, epsilon=0.0, ahead=0.0)
        optimizer = outer_optimizer(toy, strategy, 1e-4)
        losses = []
        for index in range(60):
            losses.append(meta_step(toy, strategy, optimizer, [episode], Step(index=index, total=60)))
        assert losses[-1]["first_rate/generator"] > 2
        begin, end = (sum(each[f"query/generator/{term}"] for term in ("l2", "adversarial")) for each in losses[::59])
        assert end < begin

    def test_what_is_frozen_has_no_rates_and_stays(self, toy, episode):
        strategy = prepared(toy, inner=Adaptation(lr=1e-2, iterations=3, freeze=("discriminator",)))
        assert set(strategy.meta_parameters()) == {"generator.start", "generator.slope"}
        strategy.meta_gradient(toy, episode, Step())
        ours = strategy.adapt(toy, episode.support, Step())
        for p, q in zip(ours.discriminator.parameters(), toy.discriminator.parameters(), strict=True):
            assert torch.equal(p, q)
        assert not torch.equal(ours.generator.weight, toy.generator.weight)

    def test_fixed_rates_are_no_parameters(self, toy):
        assert prepared(toy, rates="fixed").meta_parameters() == {}


@pytest.mark.parametrize(("rates", "directions"), [("fixed", 0), ("learned", 0), ("learned", 3)])
def test_it_touches_nothing_and_gives_an_ordinary_translator(toy, episodes, rates, directions):
    inner = Adaptation(lr=1e-2, iterations=3)
    strategy = Bootstrap(inner=inner, steps=3, further=2, rates=rates, directions=directions)
    check_untouched(strategy, toy, episodes)
    check_ordinary(strategy.adapt(toy, episodes[0].support, Step()), toy)


@pytest.mark.parametrize(
    "options", [{"rates": "fixed"}, {}, {"rates": "fixed", "directions": 2}, {"directions": 2, "pool": True}]
)
def test_a_recipe_runs_it_with_and_without_a_retriever(tmp_path, options):
    errors = short_run(tmp_path, {"use": "bootstrap", "steps": 2, "further": 1, **options})
    assert all(0 < error < 4 for error in errors.values())
